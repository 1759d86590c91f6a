"""The host's lives: `python -m tests.faults.host.lives` forks one for each line, so that none has to import anything.

A line is a `Life` as JSON. The whole app is served in it, with time that goes by itself whenever nothing else can
happen, until its run is over or a fault kills it. What it saw at its end is in `report.json` of its folder.
"""

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

import composition  # noqa: F401 - what every life needs is imported once, before it is forked
from agents.catalog import CATALOG
from devhost.testing import AppHost, CrashPlan
from shared import names
from tests.faults.host.broker import FaultyBroker
from tests.faults.host.faults import Deed, Fault, Faults, Point, begin, current
from tests.support.muster_host import OVER

BUS: Final = (
    "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
    "UseDevelopmentEmulator=true;"
)
LONGEST_SECONDS: Final = 120
"""How long a life may take in real time; then it is ended, and its test fails."""
_KILL_SECONDS: Final = 10.0
_ROOT: Final = Path(__file__).resolve().parents[3]


class Life(BaseModel):
    """One life of the host over `folder`, from `start` on.

    With `begins` it asks for that run first; the next lives go on with it. `kill_hub_at` kills it at a place of the
    task hub instead, the n-th time after the batch was sent. When the run is over it goes on for `afterwards` seconds
    of its clock, and then asks these paths: a POST where there is a body. `listens_to` are the agents with a part in
    the run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    start: datetime
    settings: Mapping[str, str]
    begins: dict[str, Any] | None = None
    faults: tuple[Fault, ...] = ()
    kill_hub_at: tuple[str, int] | None = None
    topology: Path = _ROOT / "infra" / "servicebus.json"
    afterwards: float = 180
    listens_to: tuple[str, ...] = ("research",)
    asks: Mapping[str, dict[str, Any] | None] = {}


class _Kills(CrashPlan):
    """Kills the process itself at the place of the task hub, instead of breaking its parts off."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def begin_life(self, die: Any) -> None:
        """A new engine runs."""
        super().begin_life(self._faults.kill)

    def reached(self, name: str) -> None:
        """What the engine tells of each place; nothing counts before the batch is sent."""
        if self._faults.reached[Point.DISPATCH, "after"]:
            super().reached(name)


async def live(life: Life) -> None:
    """Live until killed, or until there is a report."""
    host = AppHost(
        life.folder / "app",
        settings={**_deaf_to_others(life.listens_to), **life.settings},
        state_dir=life.folder / "host",
        start=life.start,
        topology_file=life.topology,
        open_broker=FaultyBroker.open,
    )
    faults = Faults(life.faults, host.clock, life.folder)
    begin(faults)
    host.crashes = _Kills(faults)
    if life.kill_hub_at is not None:
        place, times = life.kill_hub_at
        host.crashes.crash_at(place, times=times)
    async with host:
        run_file = life.folder / "run_id"
        if life.begins is not None:
            answer = await host.client.post("/api/workflows/sequential", json=life.begins)
            assert answer.status == 202, answer.text
            run_file.write_text(answer.json()["task_id"])
        run_id = run_file.read_text()

        async def over() -> bool:
            return bool((await host.client.get(f"/api/task/{run_id}")).json().get("status") in OVER)

        await host.until(over, within=timedelta(days=30))
        over_at = host.clock.now()
        await host.advance(timedelta(seconds=life.afterwards))
        if any(fault.does is Deed.KILL for fault in life.faults):
            # What the broker has done shows before whoever asked for it is told; the kill may be just after that.
            await asyncio.sleep(_KILL_SECONDS)
        late = [await _raise_late(host, life.folder, *event) for event in faults.late]
        report = await _report(host, run_id, over_at, life) | {"late": late}
        (life.folder / "report.json").write_text(json.dumps(report))
        faults.note_time()
        # A stop in order would let every client take its time to say goodbye.
        os._exit(0)


async def _report(host: AppHost, run_id: str, over_at: datetime, life: Life) -> dict[str, Any]:
    broker = current().broker
    assert broker is not None
    counts = [broker.counts(names.agent_queue(agent)) for agent in life.listens_to]
    return {
        "run": (await host.client.get(f"/api/task/{run_id}")).json(),
        "over_at": over_at.isoformat(),
        "waiting": sum(each.active + each.scheduled for each in counts),
        "dead": sum(each.dead_letter for each in counts),
        "reached": {point.name: times for (point, moment), times in current().reached.items() if moment == "after"},
        "asked": {path: await _asked(host, path, body) for path, body in life.asks.items()},
    }


async def _raise_late(host: AppHost, folder: Path, instance: str, event: str, data: Any) -> int:
    """Raise an event that was held back; the task hub's answer."""
    key = (folder / "host" / "keys" / "durabletask").read_text().strip()
    path = f"/runtime/webhooks/durabletask/instances/{instance}/raiseEvent/{event}"
    answer = await host.client.post(path, json=data, headers={"x-functions-key": key})
    await host.settle()
    return answer.status


async def _asked(host: AppHost, path: str, body: dict[str, Any] | None) -> Any:
    answer = await (host.client.get(path) if body is None else host.client.post(path, json=body))
    return answer.json()


def _deaf_to_others(listens_to: tuple[str, ...]) -> dict[str, str]:
    """Settings that leave out the functions of agents that have no part in the run: each costs a connection."""
    others = [card.name for card in CATALOG.cards.values() if card.name not in listens_to]
    functions = [*map(names.agent_function, others), *map(names.agent_events_function, others)]
    return {f"AzureWebJobs.{function}.Disabled": "true" for function in functions}


def main() -> None:
    """Fork a life for each line; tell its exit status."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _be(Life.model_validate_json(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _be(life: Life) -> None:
    signal.alarm(LONGEST_SECONDS)
    log = os.open(life.folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        asyncio.run(live(life))
    except BaseException:
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    main()
