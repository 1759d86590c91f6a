"""The receive loop of session triggers: up to `maxConcurrentSessions` sessions at once, each strictly in order.

One loop waits for the next session and hands it to a task of its own, which serves it until it has been empty for
`sessionIdleTimeout` or its lock is lost. With `cardinality` many one session is served at a time, in batches.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

from devhost.clock import Clock
from devhost.triggers.service_bus_dispatch import Dispatcher
from devhost.triggers.service_bus_link import LinkState
from devhost.triggers.service_bus_lock import LockKeeper, kept
from devhost.triggers.service_bus_options import ServiceBusOptions
from devhost.triggers.service_bus_pump import POLL, Batch, RunningTasks
from devhost.triggers.service_bus_receiver import LockLost, Receiver, ReceiverError, ReceiverFactory
from devhost.triggers.stop_signal import StopSignal

_log = logging.getLogger(__name__)

_ACCEPT: Final = timedelta(seconds=20)


class SessionPump:
    """Serves sessions, singly or in batches (`many`)."""

    def __init__(
        self,
        factory: ReceiverFactory,
        dispatcher: Dispatcher,
        options: ServiceBusOptions,
        state: LinkState,
        clock: Clock,
        stop: StopSignal,
        *,
        many: bool,
    ) -> None:
        self._factory = factory
        self._dispatcher = dispatcher
        self._options = options
        self._state = state
        self._clock = clock
        self._stop = stop
        self._slots = asyncio.Semaphore(1 if many else options.max_concurrent_sessions)
        self._serve = self._in_batches if many else self._in_order
        self._running = RunningTasks()

    async def run(self) -> None:
        """Accept and serve sessions until the stop signal, then drain."""
        try:
            while not self._stop.is_set():
                await self._slots.acquire()
                receiver = await self._accept()
                if receiver is None:
                    self._slots.release()
                else:
                    self._running.start(self._session(receiver))
            await self._running.drain()
        finally:
            self._running.cancel()

    async def _accept(self) -> Receiver | None:
        try:
            receiver = await self._stop.unless_set(self._factory.next_session(_ACCEPT))
        except ReceiverError as failed:
            pause = self._state.down(failed)
            with self._state.rest():
                await self._stop.sleep_until(self._clock, self._clock.now() + pause)
            return None
        self._state.up()
        return receiver

    async def _session(self, receiver: Receiver) -> None:
        try:
            await self._serve(receiver)
        except LockLost:
            _log.debug("session %s: its lock was lost while nothing ran", receiver.session_id)
        except ReceiverError as failed:
            _log.debug("session %s: %s", receiver.session_id, failed)
        finally:
            await receiver.close()
            self._slots.release()

    async def _in_order(self, receiver: Receiver) -> None:
        idle_since = self._clock.now()
        async with self._locked(receiver) as keeper:
            while not self._stop.is_set() and not self._idle(idle_since) and not (keeper and keeper.lost):
                messages = await receiver.receive(1, POLL)
                if not messages:
                    continue
                if self._stop.is_set():
                    await self._dispatcher.give_back(receiver, messages)
                    return
                if keeper is not None:
                    keeper.renew_until = self._renew_until()
                await self._dispatcher.single(receiver, messages[0], keeper)
                idle_since = self._clock.now()
                if keeper is not None:
                    keeper.renew_until = self._renew_until()

    async def _in_batches(self, receiver: Receiver) -> None:
        idle_since = self._clock.now()
        batch = Batch(self._options, self._clock)
        while not self._stop.is_set() and not self._idle(idle_since):
            batch.add(await receiver.receive(batch.room, batch.wait(POLL)))
            if self._stop.is_set():
                await self._dispatcher.give_back(receiver, batch.messages)
                return
            if batch.is_ready:
                await self._dispatcher.batch(receiver, batch.messages)
                batch = Batch(self._options, self._clock)
                idle_since = self._clock.now()

    def _idle(self, since: datetime) -> bool:
        return self._clock.now() - since >= self._options.session_idle_timeout

    @contextlib.asynccontextmanager
    async def _locked(self, receiver: Receiver) -> AsyncIterator[LockKeeper | None]:
        """Keep the session's lock while it is served: between messages, and for each of them as long as for a lock."""
        locked_until = receiver.session_locked_until
        keeper = None
        if locked_until is not None and self._options.max_auto_lock_renewal_duration:
            what = f"session {receiver.session_id}"
            keeper = LockKeeper(what, receiver.renew_session, locked_until, self._renew_until(), self._clock)
        async with kept(keeper):
            yield keeper

    def _renew_until(self) -> datetime | None:
        if self._options.renews_without_end:
            return None
        longest = max(self._options.max_auto_lock_renewal_duration, self._options.session_idle_timeout)
        return self._clock.now() + longest
