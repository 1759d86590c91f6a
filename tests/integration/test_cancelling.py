"""A run that is cancelled on the local host while its model is at work: it stops, and what was done is undone."""

import json
from pathlib import Path
from typing import Any

from tests.support.chat_model import ChatModel, chat_model
from tests.support.eventually import eventually
from tests.support.muster_host import MusterHost, muster_host

REQUEST = {
    "request": "A trip",
    "compensate": "on_cancel",
    "agents": [
        {"agent": "research", "undo": "editor"},
        {"pattern": "parallel", "agents": ["web", "news"], "deadline_seconds": 600},
        "writer",
    ],
}


class SlowAfterResearch(ChatModel):
    """A model that answers the first request at once, and holds the others until it is opened again."""

    def say(self, asked: dict[str, Any]) -> str:
        """The answer; after the first one the model is closed."""
        if len(self.requests) == 1:
            self.open.clear()
        return super().say(asked)


async def started(host: MusterHost, request: dict[str, Any]) -> str:
    status, body, _ = await host.post("/api/workflows/sequential", json.dumps(request).encode())
    assert status == 202, body
    return str(body["task_id"])


async def test_a_run_that_is_cancelled_stops_with_its_nested_patterns_and_undoes_what_it_did(tmp_path: Path) -> None:
    async with chat_model(SlowAfterResearch()) as model, muster_host(tmp_path, model_url=model.url) as host:
        task_id = await started(host, REQUEST)
        await eventually(lambda: len(model.requests) == 3)
        status, body, _ = await host.post(f"/api/task/{task_id}/cancel", b"")
        assert (status, body["status"]) == (202, "cancelling")
        status, body, _ = await host.post(f"/api/task/{task_id}/cancel", b"")
        assert (status, body["status"]) == (202, "cancelling"), "asking again changes nothing"
        model.open.set()
        task = await host.finished(task_id)
        assert (task["status"], task["error"]["type"]) == ("cancelled", "Cancelled")
        account = {line["step_id"]: line["outcome"] for line in task["account"]}
        assert account["research"] == "answered"
        assert account["writer"] == "skipped"
        assert account["Undo.research"] == "answered"
        [undo] = [step for step in task["steps"] if step["step_id"] == "Undo.research"]
        assert undo["status"] == "succeeded"
        assert len(model.requests) == 4, "research, web, news and the undo; the writer was never asked"
        for instance in (task_id, f"{task_id}:parallel"):
            code = host.process.key("durabletask")
            _, state = await host.get(f"/runtime/webhooks/durabletask/instances/{instance}?code={code}", key="")
            assert "runtimeStatus" in state, state
            assert state["runtimeStatus"] == "Terminated"
        status, body, _ = await host.post(f"/api/task/{task_id}/cancel", b"")
        assert (status, body["status"]) == (200, "cancelled")


async def test_a_run_that_is_over_or_is_not_there_cannot_be_cancelled(tmp_path: Path) -> None:
    async with chat_model() as model, muster_host(tmp_path, model_url=model.url) as host:
        task_id = await started(host, {"request": "A trip", "agents": ["writer"]})
        await host.finished(task_id)
        status, problem, _ = await host.post(f"/api/task/{task_id}/cancel", b"")
        assert (status, problem["type"]) == (409, "urn:muster:problem:conflict")
        assert (await host.post("/api/task/nothing/cancel", b""))[0] == 404
