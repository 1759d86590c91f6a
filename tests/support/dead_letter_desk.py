"""The routes of dead letters over resources in one process, called as the worker calls them."""

import json
from dataclasses import replace
from typing import Any

import azure.functions as func

from orchestrations.operation_routes import operation_routes
from shared.contracts import AgentTask
from shared.messaging.bus import DeadLetter, OutgoingMessage
from tests.support.app_world import World
from tests.support.documents import NOW, a_card

QUEUE = "research-tasks"
CARDS = {name: a_card(name) for name in ("research", "writer")}


class FakeHub:
    """A durable client that keeps what was scheduled."""

    def __init__(self) -> None:
        self.scheduled: list[tuple[str, str, Any]] = []

    async def get_orchestration_state(self, instance_id: str, **_: Any) -> Any:
        """Whether it was scheduled."""
        return next((True for _, known, _ in self.scheduled if known == instance_id), None)

    async def schedule_new_orchestration(self, orchestrator: str, *, input: Any, instance_id: str) -> str:  # noqa: A002
        self.scheduled.append((orchestrator, instance_id, input))
        return instance_id


class Desk:
    """The two routes over a world, called as the worker calls them."""

    def __init__(self, world: World) -> None:
        self.world, self.hub = world, FakeHub()
        for name in ("outside.events",):
            world.bus._queues[f"agent-events/{name}"] = []
            world.bus._dead[f"agent-events/{name}"] = {}
        blueprint: Any = operation_routes(CARDS, world.resources)
        functions = [builder.build() for builder in blueprint._function_builders]
        self._functions: dict[str, Any] = {f.get_function_name(): f.get_user_function() for f in functions}

    def kill(self, body: AgentTask | bytes, queue: str = QUEUE, **changes: Any) -> DeadLetter:
        """Make a message a dead letter of a queue."""
        content = body if isinstance(body, bytes) else body.model_dump_json().encode()
        message_id = body.message_id if isinstance(body, AgentTask) else "m-1"
        message = OutgoingMessage(body=content, message_id=message_id, enqueue_at=NOW)
        return self.world.bus.kill(queue, replace(message, **changes))

    async def page(self, **query: str) -> tuple[int, Any]:
        """Status and body of `GET dead-letters`."""
        request = func.HttpRequest("GET", "http://h/api/dead-letters", params=query, body=b"")
        response = await self._functions["list_dead_letters"](req=request)
        return response.status_code, json.loads(response.get_body())

    async def letters(self, **query: str) -> list[dict[str, Any]]:
        """What it lists."""
        status, page = await self.page(**query)
        assert status == 200, page
        found: list[dict[str, Any]] = page["dead_letters"]
        return found

    async def replay(self, body: Any) -> tuple[int, Any]:
        """Status and body of `POST dead-letters/replay`."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = func.HttpRequest("POST", "http://h/api/dead-letters/replay", headers=headers, body=sent)
        function = self._functions["replay_dead_letters"]
        response = await function.__wrapped__(req=request, client=self.hub)
        return response.status_code, json.loads(response.get_body())

    async def discard(self, body: Any) -> tuple[int, Any]:
        """Status and body of `POST dead-letters/discard`."""
        headers = {"content-type": "application/json"}
        sent = json.dumps(body).encode()
        request = func.HttpRequest("POST", "http://h/api/dead-letters/discard", headers=headers, body=sent)
        response = await self._functions["discard_dead_letters"](req=request)
        return response.status_code, json.loads(response.get_body())

    async def replayed(self, dead: DeadLetter, **how: Any) -> dict[str, Any]:
        """What became of one dead letter."""
        status, answer = await self.replay({"ids": [dead.id], **how})
        assert status == 200, answer
        [result] = answer["results"]
        return dict(result)
