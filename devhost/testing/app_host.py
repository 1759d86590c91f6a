"""An app on the local host inside a test process, with time that stands still until the test moves it.

Time moves in `advance` and while the test waits in `until` or `finished`, from one instant at which something is due to
the next, and only when nothing else can happen. So a test of a day's wait takes as long as the work in it. What an app
does by itself with the event loop's time (`asyncio.sleep`, a client's timeout) takes its real time.

Azure's library keeps the app in a module global: a process can run one app. It is imported once, for the first
`AppHost`; what the app keeps in its own globals stays between tests, and may hold on to the event loop it was made on.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import time_machine

from devhost.broker.broker import Broker
from devhost.clock import ManualClock
from devhost.config import overriding
from devhost.fittings import Fittings, OpenBroker
from devhost.host import Host, Served
from devhost.keys import FUNCTION_KEY
from devhost.options import HostOptions
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.identifiers import Ids
from devhost.taskhub.hub_client import HubClient
from devhost.testing.client import AppClient
from devhost.testing.client_time import let_clients_wait_in_real_time
from devhost.testing.crashes import CrashPlan
from devhost.testing.quiet import NotQuiet, what_happens
from devhost.testing.runs import RunState, run_state
from devhost.worker.worker import Worker

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST: Final = timedelta(days=3650)
_LOOK_EVERY_SECONDS: Final = 0.002
_STOP_SECONDS: Final = 5.0
# The Service Bus client takes up to a second for each connection that it closes.
_DRAIN: Final = timedelta(seconds=20)
# What wakes by the clock goes through several tasks before it calls a function, or waits for the clock again.
_PASSES: Final = 100
_loaded: dict[Path, Worker] = {}


class AppHost:
    """One app, served for the time of an `async with`.

    `settings` win over `local.settings.json`. Without a `state_dir` nothing is kept; with one, another host can be
    started on what this one left. `start` is the time at which time begins, `seed` what ids are drawn from; with
    `sticky` orchestrators stay alive between their turns. `patience` is how long, in real time, the host may take to
    come to rest. `open_broker` opens the Service Bus namespace, for a broker that fails as a test wants.
    """

    def __init__(
        self,
        app_dir: Path | str,
        *,
        settings: Mapping[str, str] | None = None,
        state_dir: Path | None = None,
        start: datetime = START,
        seed: int = 0,
        sticky: bool = False,
        patience: timedelta = timedelta(seconds=30),
        topology_file: Path | None = None,
        open_broker: OpenBroker = Broker.open,
    ) -> None:
        self.clock = ManualClock(start)
        self.crashes = CrashPlan()
        self._app_dir = Path(app_dir).resolve()
        self._settings = dict(settings or {})
        self._state_dir = state_dir.resolve() if state_dir else None
        self._seed = seed
        self._sticky = sticky
        self._patience = patience
        self._open_broker = open_broker
        self._topology_file = topology_file.resolve() if topology_file else None
        self._around = ExitStack()
        self._life = AsyncExitStack()
        self._served: Served | None = None
        self._host: Host | None = None
        self.settings: Mapping[str, str] = {}
        self._client: AppClient | None = None
        self._hub: HubClient | None = None
        self._traveller: time_machine.Traveller | None = None
        self._has_stopped = True
        self._dying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the host. Raises `StartError` and `IndexingError` as it does for the command line."""
        if self._state_dir is None:
            self._state_dir = Path(self._around.enter_context(tempfile.TemporaryDirectory(prefix="devhost-")))
        self._around.enter_context(overriding(self._settings))
        let_clients_wait_in_real_time()
        # The app and the SDKs read the machine's clock: they are shown the same time as the host.
        travel = time_machine.travel(self.clock.now(), tick=False)
        self._traveller = travel.start()
        self._around.callback(travel.stop)
        try:
            await self._begin_life()
        except BaseException:
            self._around.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the host; what still runs is cut off after 20 s of real time."""
        try:
            await self._life.aclose()
        finally:
            self._around.close()

    @property
    def client(self) -> AppClient:
        """Asks the app's HTTP functions. Raises `RuntimeError` outside of `async with`."""
        if self._client is None:
            raise RuntimeError("the host is not running")
        return self._client

    async def settle(self) -> None:
        """Return once nothing more can happen before time moves. Raises `NotQuiet` when that never comes."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._patience.total_seconds()
        while (happening := self._happening()) or not await self._stays_quiet():
            if self.crashes.crashed_at is not None:
                return
            if self._failure is not None:
                raise NotQuiet(f"the host has failed: {self._failure}") from self._failure
            if loop.time() > limit:
                raise NotQuiet(f"after {self._patience.total_seconds():g} s of real time: {', '.join(happening)}")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def advance(self, by: timedelta) -> None:
        """Let `by` go past: everything that falls due on the way happens at its own time, in order."""
        until = self.clock.now() + by
        await self.settle()
        while (due := self.clock.next_due) is not None and due <= until:
            self._move_to(due)
            await self.settle()
        self._move_to(until)
        await self.settle()

    async def set_clock(self, by: timedelta) -> None:
        """Set the clock forward, or back, at one stroke, as a person or a time server does, and settle.

        Nothing happens at a time of its own on the way; what has fallen due happens after it.
        """
        self._move_to(self.clock.now() + by)
        await self.settle()

    async def until(self, condition: Callable[[], Awaitable[bool]], *, within: timedelta = LONGEST) -> None:
        """Let time go by until `condition` holds, which is asked whenever the host has come to rest.

        Raises `TimeoutError` when it does not hold `within` that time of the clock, or nothing is due any more.
        """
        limit = self.clock.now() + within
        await self.settle()
        while not await condition():
            due = self.clock.next_due
            if due is None or due > limit:
                waits = "nothing is due any more" if due is None else f"the next thing is due at {due}"
                raise TimeoutError(f"it does not hold by {limit}, and {waits}")
            self._move_to(due)
            await self.settle()

    async def run(self, instance_id: str) -> RunState | None:
        """The orchestration as it stands; None when there is none of this id."""
        if self._hub is None:
            raise RuntimeError("the host is not running")
        state = await self._hub.get_orchestration_state(instance_id)
        return None if state is None else run_state(state)

    async def finished(self, instance_id: str, *, within: timedelta = LONGEST) -> RunState:
        """The orchestration once it is over; time goes by meanwhile. Raises `TimeoutError`; see `until`."""

        async def over() -> bool:
            state = await self.run(instance_id)
            return state is not None and state.is_over

        await self.until(over, within=within)
        state = await self.run(instance_id)
        if state is None:
            raise TimeoutError(f"there is no orchestration {instance_id}")
        return state

    async def restart(self) -> None:
        """Stop the host, unless it crashed, and start it again on the state that was left.

        Raises `RuntimeError` when it cannot be stopped because a function does not end.
        """
        await self._life.aclose()
        if not self._has_stopped:
            raise RuntimeError(f"a function still runs after {_DRAIN.total_seconds():g} s of real time, see the log")
        await self._begin_life()

    async def _begin_life(self) -> None:
        options = HostOptions(
            app_dir=self._app_dir,
            port=0,
            amqp_port=0,
            state_dir=self._state_dir,
            topology_file=self._topology_file,
            sticky=self._sticky,
            drain=_DRAIN,
        )
        fittings = Fittings(
            _load_once, owns_worker=False, crash_points=self.crashes, ids=Ids(self._seed), open_broker=self._open_broker
        )
        host = Host(options, self.clock, fittings)
        await host.start()
        self._host = host
        self._life.push_async_callback(self._end_life, host)
        self._served = served = host.served
        self.settings = served.ground.config.settings
        self._client = AppClient(served.ground.url, served.ground.keys.values[FUNCTION_KEY])
        self._life.push_async_callback(self._client.close)
        if served.parts.durable is not None:
            hub = served.parts.durable.hub
            self.crashes.begin_life(partial(self._die, served, hub.engine))
            self._hub = HubClient(hub.address)
            self._life.push_async_callback(self._hub.close)

    def _die(self, served: Served, engine: Engine) -> None:
        """What a process takes with it: a message whose handling broke off is delivered once more, in the next life."""
        engine.die()
        if served.namespace is not None:
            self._dying = asyncio.create_task(served.namespace.broker.abort())

    async def _end_life(self, host: Host) -> None:
        if self._dying is not None:
            await self._dying
            self._dying = None
        self._served = self._client = self._hub = self._host = None
        stopping = asyncio.create_task(host.stop())
        await asyncio.wait([stopping], timeout=_STOP_SECONDS)
        while not stopping.done():
            # What still runs is waited for until a time that would never come.
            self._move_to(self.clock.next_due or self.clock.now())
            await asyncio.wait([stopping], timeout=_LOOK_EVERY_SECONDS)
        self._has_stopped = await stopping

    @property
    def _failure(self) -> Exception | None:
        return None if self._host is None else self._host.failure

    def _happening(self) -> list[str]:
        return [] if self._served is None else what_happens(self._served)

    async def _stays_quiet(self) -> bool:
        """Whether nothing comes of what lies ready on the event loop, either."""
        for _ in range(_PASSES):
            await asyncio.sleep(0)
            if self._happening():
                return False
        return True

    def _move_to(self, when: datetime) -> None:
        if self._traveller is not None:
            self._traveller.move_to(when)
        self.clock.move_to(when)


async def _load_once(app_dir: Path) -> Worker:
    if app_dir not in _loaded:
        if _loaded:
            raise RuntimeError(f"this process runs the app in {next(iter(_loaded))}: test one app in one process")
        _loaded[app_dir] = await Worker.load(app_dir)
    return _loaded[app_dir]
