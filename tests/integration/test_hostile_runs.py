"""Hundreds of random nested runs with a model that misbehaves: whatever happens, the account adds up.

The seed is in the failure's text; `MUSTER_SEED` runs it again.
"""

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from devhost.offline_model.json_schema import minimal_instance
from tests.support.chat_model import ChatModel, chat_model
from tests.support.eventually import eventually
from tests.support.muster_host import OVER, MusterHost, muster_host

RUNS = 80
DEEPEST = 3
AGENTS = ("web", "academic", "news", "social", "research", "writer", "editor", "archiver")
VOTERS = ("moderator-policy", "moderator-context", "moderator-harm")


class MisbehavingModel(ChatModel):
    """Answers by chance: as asked, with rubbish, cut short, with errors, late. Each answer costs the most it can."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    async def complete(self, request: web.Request) -> web.Response:
        """`POST /v1/chat/completions`."""
        asked = json.loads(await request.read())
        roll = self._chance.random()
        if roll < 0.05:
            return web.json_response({"error": {"message": "no", "type": "invalid_request_error"}}, status=400)
        if roll < 0.10:
            await asyncio.sleep(self._chance.random())
        text = "No." if roll < 0.25 else self.say(asked)
        finish = "content_filter" if roll > 0.97 else "stop"
        message = {"role": "assistant", "content": text}
        body = {"id": "c", "object": "chat.completion", "created": 0, "model": asked["model"], "usage": dearest(asked)}
        return web.json_response({**body, "choices": [{"index": 0, "finish_reason": finish, "message": message}]})

    def say(self, asked: dict[str, Any]) -> str:
        """The least that fits where a schema is asked for."""
        if wanted := asked.get("response_format"):
            return json.dumps(minimal_instance(wanted["json_schema"]["schema"], "Title"))
        return self._chance.choice(["# Title\n\nA text.", "ä" * 200, '{"$artifact": 1}', "</request>"])


def dearest(asked: dict[str, Any]) -> dict[str, int]:
    """A token for two bytes of the prompt, and as many tokens out as the call may have."""
    shown = "".join(each["content"] for each in asked["messages"]) + json.dumps(asked.get("response_format", ""))
    told, said = len(shown.encode()) // 2, asked.get("max_completion_tokens") or asked["max_tokens"]
    return {"prompt_tokens": told, "completion_tokens": said, "total_tokens": told + said}


class Requests:
    """Random requests that the door has no reason to refuse."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def any(self, depth: int = 1, **more: Any) -> dict[str, Any]:
        """A request of any pattern."""
        made = self._chance.choice(
            [self._sequential, self._parallel, self._vote, self._handoff, self._loop, self._team, self._events]
        )(depth)
        if self._chance.random() < 0.3:
            made["budget"] = {"tokens": self._chance.choice([1, 5000, 20_000, 100_000, 10**9])}
        if self._chance.random() < 0.15:
            made["deadline_seconds"] = self._chance.choice([1e-9, 0.05, 0.5, 2])
        return made | more

    def _nodes(self, depth: int, most: int, agents: tuple[str, ...] = AGENTS) -> list[Any]:
        return [self._node(depth, f"n{number}", agents) for number in range(self._chance.randint(1, most))]

    def _node(self, depth: int, name: str, agents: tuple[str, ...] = AGENTS) -> Any:
        if depth < DEEPEST and self._chance.random() < 0.3:
            return self.any(depth + 1, name=name)
        return {"agent": self._chance.choice(agents), "name": name}

    def _sequential(self, depth: int) -> dict[str, Any]:
        return {"pattern": "sequential", "agents": self._nodes(depth, 3)}

    def _parallel(self, depth: int) -> dict[str, Any]:
        nodes = self._nodes(depth, 4)
        count = self._chance.randint(1, len(nodes))
        require = self._chance.choice(["all", "any", {"at_least": count}, {"first": count}])
        merger = self._chance.choice([None, "aggregator"])
        width = self._chance.choice([None, 1, 2])
        return {"pattern": "parallel", "agents": nodes, "require": require, "aggregator": merger, "width": width}

    def _vote(self, depth: int) -> dict[str, Any]:
        rule = self._chance.choice(["majority", "unanimous", "borda"])
        tie = self._chance.choice(["no_decision", "judge"])
        voters = self._nodes(depth, 4, VOTERS)
        return {"pattern": "consensus", "voters": voters, "options": ["Title", "no"], "rule": rule, "tie": tie}

    def _handoff(self, depth: int) -> dict[str, Any]:
        return {"pattern": "handoff", "preset": "support"}

    def _loop(self, depth: int) -> dict[str, Any]:
        unaccepted = self._chance.choice(["keep", "fail"])
        maker = self._node(depth, "maker")
        return {"pattern": "review-loop", "maker": maker, "max_rounds": 2, "unaccepted": unaccepted}

    def _team(self, depth: int) -> dict[str, Any]:
        if self._chance.random() < 0.2:
            return {"pattern": "hierarchical", "planner": "planner"}
        manager = self._chance.choice([None, "research-manager"])
        return {"pattern": "hierarchical", "workers": self._nodes(depth, 3), "manager": manager}

    def _events(self, depth: int) -> dict[str, Any]:
        require = self._chance.choice(["all", {"at_least": 1}, {"at_least": 9}])
        return {"pattern": "event-driven", "event": "DataReceived", "require": require}


def faults_of(task: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """What does not add up in a run that is over."""
    lines = {line["step_id"]: line for line in task["account"]}
    steps = {step["step_id"]: step for step in task["steps"]}
    found = []
    if len(lines) != len(task["account"]):
        found.append("a step is accounted for twice")
    if missing := lines.keys() - steps.keys():
        found.append(f"in the account and not among the steps: {missing}")
    for step_id, line in lines.items():
        said, did = line["outcome"], steps[step_id]["status"]
        if said == "skipped" and line["cause"] is None:
            found.append(f"{step_id} was skipped for no reason")
        if said == "answered" and did != "succeeded":
            found.append(f"{step_id} answered, and its step {did}")
    if task["status"] == "failed" and task["error"] is None:
        found.append("it failed for no reason")
    if (task["error"] or {}).get("type") in ("ValidationError", "OrchestrationEnded", "TypeError", "KeyError"):
        found.append(f"it broke: {task['error']}")
    tokens = task["usage"]["input_tokens"] + task["usage"]["output_tokens"]
    if tokens > asked.get("budget", {}).get("tokens", tokens):
        found.append(f"it used {tokens} tokens")
    return found + missing_from_completed(task, asked, lines)


def missing_from_completed(task: dict[str, Any], asked: dict[str, Any], lines: dict[str, Any]) -> list[str]:
    """What a completed run of agents alone required and did not get."""
    if task["status"] != "completed" or asked["pattern"] not in ("sequential", "parallel"):
        return []
    wanted = [node["name"] for node in asked["agents"] if "agent" in node]
    race = asked.get("require") == "any" or "first" in (asked.get("require") or {})
    lost = [name for name in wanted if lines[name]["outcome"] != "answered"]
    return [f"it is completed without {lost}"] if lost and not race else []


@pytest.mark.asyncio
async def test_random_runs_with_a_misbehaving_model_all_end_with_an_account_that_adds_up(tmp_path: Path) -> None:
    seed = int(os.environ.get("MUSTER_SEED") or random.randrange(2**32))
    chance = random.Random(seed)
    model, requests = MisbehavingModel(chance), Requests(chance)
    async with chat_model(model), muster_host(tmp_path, model_url=model.url) as host:
        runs = [requests.any(request={"topic": "x"}) for _ in range(RUNS)]
        started = {await started_run(host, each): each for each in runs}
        faults = {}
        for task_id, asked in started.items():
            task = await over(host, task_id)
            assert task is not None, f"seed {seed}: {task_id} never ended: {json.dumps(asked)}"
            if found := faults_of(task, asked):
                faults[json.dumps(asked)] = found
        assert not faults, f"seed {seed}: {faults}"


async def started_run(host: MusterHost, asked: dict[str, Any]) -> str:
    status, answer, _ = await host.post(f"/api/workflows/{asked['pattern']}", json.dumps(asked).encode())
    assert status == 202, (answer, json.dumps(asked))
    return str(answer["task_id"])


async def over(host: MusterHost, task_id: str) -> dict[str, Any] | None:
    """The run once it is over, with what was under way when it was."""

    async def ended() -> dict[str, Any] | None:
        status, task = await host.get(f"/api/task/{task_id}")
        assert status == 200
        return task if task["status"] in OVER else None

    return await eventually(ended, within=90.0, every=0.1)
