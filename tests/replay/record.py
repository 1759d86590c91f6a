"""`python -m tests.replay.record [NAME ...]`: runs the scenarios on the local host and keeps their histories.

A file holds one run: its orchestrations, each with its name, its instance id and its events as protobuf JSON. What
differs from recording to recording and matters to no replay is taken out: traces, and the day on which it was.
"""

import asyncio
import json
import re
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from devhost.offline_model.json_schema import minimal_instance
from orchestrations.starter import run_id
from shared import names
from tests.replay.deliberation_scenarios import DELIBERATION
from tests.replay.scenarios import SCENARIOS, Scenario
from tests.support.chat_model import ChatModel, chat_model
from tests.support.host_process import ROOT, HostProcess
from tests.support.muster_host import MusterHost

HISTORIES = Path(__file__).parent / "histories"
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_CUE = re.compile(r'(?:<request>\n(?:\{\s*"(?:question|request)": ")?|"data": ")(FAIL|HANG|SLOW|SECOND)')
EVERYTHING = (*SCENARIOS, *DELIBERATION)
"""Every run whose history is kept."""

_TRACES = ("parentTraceContext", "orchestrationSpanID", "orchestrationTraceContext")


class CuedModel(ChatModel):
    """Answers by the cue that an agent's request, or the question in it, begins with."""

    async def complete(self, request: web.Request) -> web.Response:
        match cue_in(json.loads(await request.read())):
            case "FAIL":
                return web.json_response({"error": {"message": "refused on cue"}}, status=400)
            case "HANG":
                await asyncio.sleep(3600)
            case "SLOW":
                await asyncio.sleep(1)
        return await super().complete(request)

    def say(self, asked: dict[str, Any]) -> str:
        second = cue_in(asked) == "SECOND"
        if wanted := asked.get("response_format"):
            shown = asked["messages"][-1]["content"]
            if '"goal": "REWORK"' in shown and '"last_round": false' in shown:
                return json.dumps({"rework": [{"part": "writer", "comment": "Shorter."}], "merged": "Not yet."})
            schema = wanted["json_schema"]["schema"]
            return json.dumps(minimal_instance(seconds(schema) if second else schema, "Title"))
        prompt = asked["messages"][-1]["content"]
        return f"Answer {zlib.crc32(prompt.encode())}." if second and "SAME" not in prompt else "An answer."


def cue_in(asked: Mapping[str, Any]) -> str | None:
    """The cue in what an agent was asked."""
    found = _CUE.search(asked["messages"][-1]["content"])
    return found.group(1) if found else None


def seconds(schema: Any) -> Any:
    """The schema with the second value of each choice alone."""
    if isinstance(schema, dict):
        choices = {"enum": schema["enum"][1:2] or schema["enum"]} if "enum" in schema else {}
        return {name: seconds(each) for name, each in schema.items()} | choices
    return schema


class RecordingHost(MusterHost):
    """The host with the app that tells histories."""

    def __init__(self, folder: Path, *, model_url: str) -> None:
        super().__init__(folder, model_url=model_url)
        inner = self.process
        app = ROOT / "tests" / "replay" / "recorder_app"
        env = {**inner._env, "PYTHONPATH": str(ROOT)}
        self.process = HostProcess(app, state_dir=folder / "host", env=env)

    async def history(self, instance: str) -> list[dict[str, Any]]:
        """The events of one orchestration."""
        status, events = await self.get(f"/api/history?instance={instance}")
        assert status == 200, (instance, events)
        return events  # type: ignore[no-any-return]


async def record(host: RecordingHost, scenario: Scenario) -> dict[str, Any]:
    """Run one scenario and return what is kept of it."""
    key = f"golden-{scenario.name}"
    body = json.dumps(dict(scenario.request)).encode()
    status, started, _ = await host.post(f"/api/workflows/{scenario.pattern}", body, headers={"Idempotency-Key": key})
    assert status == 202, started
    task = await host.finished(started["task_id"])
    assert task["status"] == scenario.status, (scenario.name, task["status"], task["error"])
    root = run_id(scenario.pattern, key)
    orchestrations = [await _orchestration(host, names.orchestrator(scenario.pattern), root)]
    for event in orchestrations[0]["events"]:
        created = event.get("subOrchestrationInstanceCreated")
        if created is not None:
            orchestrations.append(await _orchestration(host, created["name"], created["instanceId"]))
    return {"scenario": scenario.name, "orchestrations": orchestrations}


async def _orchestration(host: RecordingHost, name: str, instance: str) -> dict[str, Any]:
    return {"name": name, "instance_id": instance, "events": normalised(await host.history(instance))}


def normalised(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The events without traces, moved in time so that the first is at `BEGINNING`."""
    shift = BEGINNING - _instant(events[0]["timestamp"])
    return [_moved(event, shift) for event in events]


def _moved(value: Any, shift: timedelta) -> Any:
    if isinstance(value, Mapping):
        return {name: _moved(each, shift) for name, each in value.items() if name not in _TRACES}
    if isinstance(value, list):
        return [_moved(each, shift) for each in value]
    return _INSTANT.sub(lambda found: _written(_instant(found[0]) + shift), value) if isinstance(value, str) else value


def _written(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def main(chosen: Sequence[str]) -> None:
    """Record the scenarios named, or all of them."""
    HISTORIES.mkdir(exist_ok=True)
    scenarios = [scenario for scenario in EVERYTHING if not chosen or scenario.name in chosen]
    with tempfile.TemporaryDirectory() as folder:
        async with chat_model(CuedModel()) as model, recording_host(Path(folder), model.url) as host:
            for scenario in scenarios:
                text = json.dumps(await record(host, scenario), indent=1, ensure_ascii=False) + "\n"
                (HISTORIES / f"{scenario.name}.json").write_text(text)
                print(f"{scenario.name}: {len(text)} bytes")  # noqa: T201


@asynccontextmanager
async def recording_host(folder: Path, model_url: str) -> AsyncIterator[RecordingHost]:
    """A started `RecordingHost`, interrupted at the end."""
    host = RecordingHost(folder, model_url=model_url)
    async with host.process:
        yield host


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
