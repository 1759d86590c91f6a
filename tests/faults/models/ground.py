"""What the tests of model and agent faults stand on: the whole app on the local host, and a model that does as told.

Time is the test's. The model is the host's own, asked over HTTP by the real `openai` client; messages travel over AMQP
with the stock client. What a client or an agent measures by itself, such as a model call's timeout, is real time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from devhost.testing import AppHost
from tests.support.eventually import eventually

WRITER = "You are a writer of clear"
LIBRARIAN = "You are a research librarian"
GRADER = "You are a grader."
MODEL_TIMEOUT_SECONDS = 10
_GOES_ON = (None, "pending", "running", "cancelling")


class Ground:
    """The host, and what a person does with it."""

    def __init__(self, host: AppHost) -> None:
        self.host = host

    async def tidy(self) -> None:
        """Leave nothing for the next test: no call that sleeps, no fault, and no circuit that remembers one."""
        rules = (await self.host.client.get("/v1/faults")).json()["rules"]
        if any("delay" in rule for rule in rules):
            await self.host.advance(timedelta(minutes=20))
        await self.host.client.delete("/v1/faults")
        for each in await self.circuits():
            if each["failures"] or each["state"] != "closed":
                await self.host.client.post(f"/api/circuits/{each['name']}", json={"state": "auto"})

    async def faults(self, *rules: dict[str, Any]) -> None:
        """Have the model misbehave by these rules."""
        answer = await self.host.client.put("/v1/faults", json={"rules": rules})
        assert answer.status == 200, answer.text

    async def followed(self) -> list[int]:
        """How many requests followed each rule."""
        rules = (await self.host.client.get("/v1/faults")).json()["rules"]
        return [each["used"] for each in rules]

    async def begin(self, agents: Sequence[Any], pattern: str = "sequential", **more: Any) -> str:
        """Start a run of these agents and return its id; time stands still."""
        body = {"request": "Tides", "agents": agents, **more}
        started = await self.host.client.post(f"/api/workflows/{pattern}", json=body)
        assert started.status == 202, started.text
        return str(started.json()["task_id"])

    async def task(self, task_id: str) -> dict[str, Any]:
        """The run as it stands."""
        found: dict[str, Any] = (await self.host.client.get(f"/api/task/{task_id}")).json()
        return found

    async def step(self, task_id: str, agent: str) -> dict[str, Any]:
        """The run's step of an agent, as it stands."""
        [found] = [each for each in (await self.task(task_id))["steps"] if each["agent"] == agent]
        return dict(found)

    async def over(self, task_id: str) -> dict[str, Any]:
        """The run once it is over; time goes by meanwhile. Its account names everybody once, and its usage adds up."""

        async def is_over() -> bool:
            return (await self.task(task_id)).get("status") not in _GOES_ON

        await self.host.until(is_over, within=timedelta(hours=2))
        run = await self.task(task_id)
        asked = [line["step_id"] for line in run["account"]]
        assert sorted(asked) == sorted(step["step_id"] for step in run["steps"])
        for counted in ("input_tokens", "output_tokens"):
            assert run["usage"][counted] == sum(step["usage"][counted] for step in run["steps"])
        return run

    async def done(self, agents: Sequence[Any], pattern: str = "sequential", **more: Any) -> dict[str, Any]:
        """A run of these agents, once it is over."""
        return await self.over(await self.begin(agents, pattern, **more))

    async def works_again(self) -> None:
        """See that the host does as ever."""
        await self.tidy()
        assert (await self.done(["writer"]))["status"] == "completed"

    async def in_real_time(self, task_id: str, agent: str, status: str) -> dict[str, Any]:
        """The agent's step, once it has that status; no time goes by on the clock."""

        async def reached() -> dict[str, Any] | None:
            steps = [each for each in (await self.task(task_id))["steps"] if each["agent"] == agent]
            return steps[0] if steps and steps[0]["status"] == status else None

        found = await eventually(reached, within=30)
        assert found is not None
        return found

    async def dead_letters(self, task_id: str, agent: str) -> list[dict[str, Any]]:
        """Those of a run on the queue of an agent."""
        answer = await self.host.client.get("/api/dead-letters", params={"run": task_id, "agent": agent})
        found: list[dict[str, Any]] = answer.json()["dead_letters"]
        return found

    async def circuits(self) -> list[dict[str, Any]]:
        """All of them."""
        found: list[dict[str, Any]] = (await self.host.client.get("/api/circuits")).json()["circuits"]
        return found

    async def circuit(self, name: str) -> dict[str, Any]:
        """One of them; one that never changed is not there."""
        found = [each for each in await self.circuits() if each["name"] == name]
        return dict(found[0]) if found else {"state": "closed", "failures": 0}


def waits(step: dict[str, Any]) -> list[float]:
    """How long each further attempt of a step waited after the one before it had ended, in seconds."""
    ended = [datetime.fromisoformat(each["ended_at"]) for each in step["attempts"]]
    began = [each["started_at"] for each in step["attempts"][1:]] + [step["started_at"]]
    return [(datetime.fromisoformat(late) - early).total_seconds() for early, late in zip(ended, began, strict=True)]


def causes(step: dict[str, Any]) -> list[str]:
    """The types of the errors of a step's attempts that were made again."""
    return [each["error"]["type"] for each in step["attempts"]]
