"""What a test of a fault stands on: a folder in which the host lives life after life, and a model beside it."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from tests.faults.host.faults import Fault
from tests.faults.host.lives import BUS, Life
from tests.support.chat_model import ChatModel
from tests.support.host_process import ROOT

START = datetime(2026, 1, 1, tzinfo=UTC)
KILLED = -9


class SickModel(ChatModel):
    """A model that refuses as many requests as `refuses` says, with that status, before it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: list[int] = []

    async def complete(self, request: web.Request) -> web.Response:
        """`POST /v1/chat/completions`."""
        if self.refuses:
            self.requests.append(json.loads(await request.read()))
            return web.json_response({"error": {"message": "injected"}}, status=self.refuses.pop(0))
        return await super().complete(request)


class Forks:
    """The process of `tests.faults.host.lives`."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    @classmethod
    @contextmanager
    def started(cls, log: Path) -> Iterator[Self]:
        """The process, ended at the end."""
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.host.lives"],
                cwd=ROOT,
                env={"PATH": "/usr/bin:/bin", "HOME": str(log.parent), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        with process:
            yield cls(process, log)
            assert process.stdin is not None
            process.stdin.close()

    async def live(self, life: Life) -> int:
        """Live it to its end; the status its process ended with, -9 when it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(life.model_dump_json() + "\n")
        self._process.stdin.flush()
        line = await asyncio.to_thread(self._process.stdout.readline)
        assert line, self._log.read_text()[-5000:]
        return int(line)


@dataclass(frozen=True)
class Report:
    """What a life that was not killed saw once its run was over, and a while after.

    `waiting` and `dead` count the messages of the agents' queues, `reached` how often a point was passed in this life;
    `asked` is the JSON of the paths that it asked, `late` the statuses with which late events were answered.
    """

    run: dict[str, Any]
    over_at: datetime
    waiting: int
    dead: int
    reached: Mapping[str, int]
    asked: Mapping[str, Any]
    late: list[int]

    @property
    def step(self) -> dict[str, Any]:
        """The run's only step."""
        [only] = self.run["steps"]
        return dict(only)

    @property
    def outcomes(self) -> list[str]:
        """How the agents stand in the run's account."""
        return [line["outcome"] for line in self.run["account"]]


class Ground:
    """One run of one agent, over as many lives of the host as it takes."""

    def __init__(self, folder: Path, forks: Forks, model: SickModel) -> None:
        self.model = model
        self.folder = folder
        self.request: dict[str, Any] = {"request": {"topic": "Tides"}, "agents": ["research"]}
        self.settings = {
            "ServiceBusConnection": BUS,
            "MUSTER_DATA_DIR": str(folder / "data"),
            "MUSTER_MODEL_BASE_URL": model.url,
            "MUSTER_MODEL_NAME": "test-model",
        }
        self._forks = forks
        self._lives = 0
        app = folder / "app"
        app.mkdir()
        shutil.copy(ROOT / "host.json", app)
        shutil.copy(Path(__file__).parent / "app" / "function_app.py", app)

    async def killed(self, *faults: Fault, later: timedelta = timedelta(seconds=1), **life: Any) -> None:
        """One life, which ends by a fault that kills it; `later` is how long after the last one it begins."""
        assert await self._live(faults, later, life) == KILLED, f"the host was not killed:\n{self.log[-5000:]}"

    async def lived(self, *faults: Fault, later: timedelta = timedelta(seconds=1), **life: Any) -> Report:
        """One life to the end of the run, and what it saw there."""
        assert await self._live(faults, later, life) == 0, self.log[-10_000:]
        report = json.loads((self.folder / "report.json").read_text())
        report["over_at"] = datetime.fromisoformat(report["over_at"])
        return Report(**report)

    @property
    def log(self) -> str:
        """What all lives have written so far."""
        return (self.folder / "log").read_text(errors="replace")

    async def _live(self, faults: tuple[Fault, ...], later: timedelta, changes: dict[str, Any]) -> int:
        ended_at = self.folder / "ended_at"
        start = datetime.fromisoformat(ended_at.read_text()) + later if self._lives else START
        life = Life(
            folder=self.folder,
            start=start,
            settings=self.settings,
            begins=None if self._lives else self.request,
            faults=faults,
            **changes,
        )
        self._lives += 1
        return await self._forks.live(life)
