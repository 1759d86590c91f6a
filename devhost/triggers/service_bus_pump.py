"""The receive loops of Service Bus triggers: single messages up to a number at once, or batches one at a time.

A loop takes a message only when there is room to run it, so nothing waits under a lock. It ends at the stop signal:
what was received but not started is given back, what runs is waited for, and only then is the link closed.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

from devhost.clock import Clock
from devhost.triggers.service_bus_dispatch import Dispatcher
from devhost.triggers.service_bus_link import LinkState
from devhost.triggers.service_bus_options import ServiceBusOptions
from devhost.triggers.service_bus_receiver import ReceivedMessage, Receiver, ReceiverError, ReceiverFactory
from devhost.triggers.stop_signal import StopSignal

# How long one receive may wait, and so how long a stop waits for it: a receive is never cut off, because a message
# that arrives at that moment would stay locked.
POLL: Final = timedelta(seconds=0.5)


class Pump(Protocol):
    """A receive loop."""

    async def run(self) -> None:
        """Receive and dispatch until the stop signal, then drain."""
        ...


class RunningTasks:
    """Tasks that are waited for together; cancelled together when the waiting is."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the others."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until none runs."""
        await asyncio.gather(*self._tasks)

    def cancel(self) -> None:
        """Cut off what still runs."""
        for task in self._tasks:
            task.cancel()


class Link:
    """A receiver that is connected again whenever it fails."""

    def __init__(self, receiver: Receiver, state: LinkState, clock: Clock, stop: StopSignal) -> None:
        self.receiver = receiver
        self._state = state
        self._clock = clock
        self._stop = stop
        self._is_open = False

    async def receive(self, max_messages: int, wait: timedelta = POLL) -> Sequence[ReceivedMessage]:
        """What arrives within `wait`; empty also after a failure, which is waited out here."""
        try:
            if not self._is_open:
                await self._stop.unless_set(self.receiver.open())
                if self._stop.is_set():
                    return ()
                self._is_open = True
            messages = await self.receiver.receive(max_messages, wait)
        except ReceiverError as failed:
            self._is_open = False
            pause = self._state.down(failed)
            with self._state.rest():
                await self._stop.sleep_until(self._clock, self._clock.now() + pause)
            return ()
        self._state.up()
        return messages


class SinglePump:
    """Each message is one call; at most `maxConcurrentCalls` run at once."""

    def __init__(
        self,
        factory: ReceiverFactory,
        dispatcher: Dispatcher,
        options: ServiceBusOptions,
        state: LinkState,
        clock: Clock,
        stop: StopSignal,
    ) -> None:
        self._link = Link(factory.receiver(), state, clock, stop)
        self._dispatcher = dispatcher
        self._slots = asyncio.Semaphore(options.max_concurrent_calls)
        self._running = RunningTasks()
        self._stop = stop

    async def run(self) -> None:
        """Receive and dispatch until the stop signal, then drain."""
        try:
            while not self._stop.is_set():
                await self._next()
            await self._running.drain()
        finally:
            self._running.cancel()
            await self._link.receiver.close()

    async def _next(self) -> None:
        await self._slots.acquire()
        messages = () if self._stop.is_set() else await self._link.receive(1)
        if self._stop.is_set() or not messages:
            await self._dispatcher.give_back(self._link.receiver, messages)
            self._slots.release()
            return
        self._running.start(self._handle(messages[0]))

    async def _handle(self, message: ReceivedMessage) -> None:
        try:
            await self._dispatcher.single(self._link.receiver, message)
        finally:
            self._slots.release()


class BatchPump:
    """As many messages as there are, up to `maxMessageBatchSize`, are one call; one call runs at a time."""

    def __init__(
        self,
        factory: ReceiverFactory,
        dispatcher: Dispatcher,
        options: ServiceBusOptions,
        state: LinkState,
        clock: Clock,
        stop: StopSignal,
    ) -> None:
        self._link = Link(factory.receiver(), state, clock, stop)
        self._dispatcher = dispatcher
        self._options = options
        self._clock = clock
        self._stop = stop

    async def run(self) -> None:
        """Receive and dispatch until the stop signal."""
        receiver = self._link.receiver
        try:
            while not self._stop.is_set():
                messages = await self._gather()
                if self._stop.is_set():
                    await self._dispatcher.give_back(receiver, messages)
                elif messages:
                    await self._dispatcher.batch(receiver, messages)
        finally:
            await receiver.close()

    async def _gather(self) -> list[ReceivedMessage]:
        batch = Batch(self._options, self._clock)
        while not self._stop.is_set():
            batch.add(await self._link.receive(batch.room, batch.wait(POLL)))
            if batch.is_ready:
                break
        return batch.messages


class Batch:
    """Messages collected until there are `minMessageBatchSize`, or until `maxBatchWaitTime` after the first."""

    def __init__(self, options: ServiceBusOptions, clock: Clock) -> None:
        self.messages: list[ReceivedMessage] = []
        self._options = options
        self._clock = clock
        self._deadline = clock.now()

    @property
    def room(self) -> int:
        """How many more fit."""
        return self._options.max_message_batch_size - len(self.messages)

    def wait(self, longest: timedelta) -> timedelta:
        """How long the next receive may wait: `longest`, or up to the deadline."""
        if not self.messages:
            return longest
        return max(min(longest, self._deadline - self._clock.now()), timedelta(milliseconds=1))

    def add(self, received: Sequence[ReceivedMessage]) -> None:
        """Take these in."""
        if received and not self.messages:
            self._deadline = self._clock.now() + self._options.max_batch_wait_time
        self.messages.extend(received)

    @property
    def is_ready(self) -> bool:
        """Whether the function is to be called with what is there."""
        if len(self.messages) >= self._options.min_message_batch_size:
            return True
        return bool(self.messages) and self._clock.now() >= self._deadline
