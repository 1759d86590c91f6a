"""The local host in this process, with the app over counted adapters, its calls and its log counted as well."""

import asyncio
import io
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import override

from azure_functions_runtime.bindings.datumdef import Datum

from devhost.clock import SystemClock
from devhost.config import overriding
from devhost.fittings import Fittings
from devhost.host import Host, Served
from devhost.keys import FUNCTION_KEY
from devhost.logs import JsonFormatter, set_up_logging
from devhost.options import HostOptions
from devhost.taskhub.hub_client import HubClient
from devhost.testing.quiet import what_happens
from devhost.worker.model import FunctionMetadata
from devhost.worker.worker import Returned, Worker
from scripts.cost.adapters import CountedConnections
from scripts.cost.tally import TALLY, Tally
from scripts.local_host import ROOT, RunningHost, private_log

APP = '"""The app, composed over counted adapters."""\n\nfrom scripts.cost.counted_app import app\n'
TOPOLOGY = ROOT / "infra" / "servicebus.json"
_LOOK_EVERY_SECONDS = 0.05
# Agents that nobody waits for any more end some time after their run.
_LOOKS_WITHOUT_WORK = 8
_PATIENCE_SECONDS = 60.0


class NotOver(Exception):
    """The host did not come to rest. The text says what it still does."""


class CountedWorker(Worker):
    """A worker whose calls of functions are counted, turns of orchestrators among them."""

    @override
    def callable_of(self, function: FunctionMetadata) -> None:
        """Nothing: so the host has no shorter way to an orchestrator, and each of its turns is a call, as in Azure."""

    @override
    async def invoke(
        self,
        function: FunctionMetadata,
        inputs: Sequence[tuple[str, Datum]],
        *,
        metadata: Mapping[str, Datum],
        trace_parent: str = "",
    ) -> Returned:
        """Call the function, and count it; see `Worker.invoke`."""
        with TALLY.execution(function.name):
            return await super().invoke(function, inputs, metadata=metadata, trace_parent=trace_parent)


class CountingLog(logging.Handler):
    """Counts each record by its length as the host's JSON line; nothing is written anywhere."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(logging.INFO)
        self._tally = tally
        self._format = JsonFormatter().format

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Count it."""
        self._tally.logged(len(self._format(record).encode()))


@dataclass(frozen=True, slots=True)
class CountedHost:
    """A host that is up: where it is reached, what it consists of, and its task hub."""

    reached: RunningHost
    served: Served
    hub: HubClient

    async def rest(self) -> None:
        """Return once nothing happens any more, in the app, the task hub or the queues. Raises `NotOver`."""
        loop = asyncio.get_running_loop()
        limit, quiet = loop.time() + _PATIENCE_SECONDS, 0
        while quiet < _LOOKS_WITHOUT_WORK:
            happening = what_happens(self.served)
            if TALLY.unsettled:
                happening.append(f"{TALLY.unsettled} messages are not settled")
            quiet = 0 if happening else quiet + 1
            if loop.time() > limit:
                raise NotOver(f"after {_PATIENCE_SECONDS:g} s: {', '.join(happening)}")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


@asynccontextmanager
async def counted_host(folder: Path, log: Path, settings: Mapping[str, str]) -> AsyncIterator[CountedHost]:
    """A host over `folder`, which exists, stopped at the end. `settings` win over the environment.

    What it says goes to `log`. Raises `StartError` and `IndexingError`.
    """
    options = HostOptions(app_dir=_app_folder(folder), port=0, state_dir=folder / "host", topology_file=TOPOLOGY)
    fittings = Fittings(CountedWorker.load, connect=CountedConnections(TALLY))
    with overriding(settings), _logging_to(log):
        host = Host(options, SystemClock(), fittings)
        await host.start()
        ground, durable = host.served.ground, host.served.parts.durable
        hub = HubClient(durable.hub.address if durable is not None else "")
        try:
            reached = RunningHost(ground.url, os.getpid(), ground.keys.values[FUNCTION_KEY], log)
            yield CountedHost(reached, host.served, hub)
        finally:
            await hub.close()
            await host.stop()
            # Now, as long as somebody takes it; at the end of the process nobody would.
            await asyncio.to_thread(TALLY.flush)


def _app_folder(folder: Path) -> Path:
    """The folder that the host finds the app in. There are no local settings in it, so that none of yours are used."""
    app = folder / "app"
    app.mkdir()
    (app / "function_app.py").write_text(APP, encoding="utf-8")
    shutil.copyfile(ROOT / "host.json", app / "host.json")
    return app


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Have everything that is logged written to a file, and counted."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    with io.TextIOWrapper(private_log(path), encoding="utf-8", write_through=True) as file:
        set_up_logging(json_lines=False, verbose=False, colour=False, stream=file)
        root.addHandler(CountingLog(TALLY))
        try:
            yield
        finally:
            root.handlers[:], root.level = before, level
