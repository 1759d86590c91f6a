"""The app's resources with faults: each passes on what it is asked, and tells of the point before and after."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from agents.delivery import Delivery, QueueConsumer, Reply
from shared.contracts import AgentResult, ReplyTo
from shared.errors import BusUnavailable, StoreUnavailable, TaskHubUnavailable
from shared.llm.model import ModelClient, ModelReply, ModelRequest
from shared.messaging.bus import MessageBus, OutgoingMessage
from shared.resources import Resources
from shared.state.store import StateStore
from tests.faults.host.faults import Deed, Point, current
from tests.support.eventually import eventually

_SHORT = timedelta(seconds=5)
_STORE_POINTS: Mapping[str, Point] = {
    "claim_step": Point.CLAIM,
    "record_step": Point.RECORD,
    "release_step": Point.RELEASE,
    "advance_run": Point.ADVANCE_RUN,
}


def faulty(resources: Resources) -> Resources:
    """The same resources, with the faults of this life."""
    return replace(
        resources,
        store=_FaultyStore(resources.store),
        bus=_FaultyBus(resources.bus),
        model=_FaultyModel(resources.model),
        clock=_HostClock(),
    )


class _FaultyStore:
    def __init__(self, inner: StateStore) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Awaitable[Any]] = getattr(self._inner, name)
        point = _STORE_POINTS.get(name)
        if point is None:
            return method

        async def call(*arguments: Any, **options: Any) -> Any:
            return await current().around(point, lambda: method(*arguments, **options), StoreUnavailable("injected"))

        return call


class _FaultyBus:
    def __init__(self, inner: MessageBus) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        point = Point.COPY if any(message.enqueue_at for message in messages) else Point.DISPATCH
        await current().around(point, lambda: self._inner.send(queue, messages), BusUnavailable("injected"))


class _HostClock:
    """The host's clock. It stands still while a function runs, so a short wait in one is over at once."""

    def now(self) -> datetime:
        return current().clock.now()

    async def sleep_until(self, when: datetime) -> None:
        if when - self.now() > _SHORT:
            await current().clock.sleep_until(when)


class _FaultyModel:
    def __init__(self, inner: ModelClient) -> None:
        self._inner = inner

    async def complete(self, request: ModelRequest) -> ModelReply:
        faults = current()
        fault = faults.meet(Point.MODEL, "before")
        if fault is not None and fault.does is Deed.LOSE_LOCK:
            assert faults.broker is not None
            await faults.broker.lose_locks()
            # The second delivery finds the claim while this one is still at work.
            await eventually(lambda: faults.reached[Point.COPY, "after"])
        reply = await self._inner.complete(request)
        faults.meet(Point.MODEL, "after")
        return reply

    async def close(self) -> None:
        await self._inner.close()


class FaultyConsumer(QueueConsumer):
    """The consumer of agents' queues, whose replies may be lost, late or refused."""

    async def consume(self, agent: str, body: bytes, delivery: Delivery) -> None:
        """Handle one delivery."""
        current().meet(Point.RECEIVE, "after")
        await super().consume(agent, body, replace(delivery, reply=_faulty_reply(delivery.reply)))


def _faulty_reply(reply: Reply) -> Reply:
    async def say(to: ReplyTo, result: AgentResult) -> None:
        faults = current()
        fault = faults.meet(Point.REPLY, "before")
        match fault and fault.does:
            case Deed.LOSE:
                return
            case Deed.DELAY:
                faults.late.append((to.instance_id, to.event, result.model_dump(mode="json")))
                return
            case Deed.FAIL:
                raise TaskHubUnavailable("injected")
        await reply(to, result)
        fault = faults.meet(Point.REPLY, "after")
        if fault is not None and fault.does is Deed.FAIL:
            raise TaskHubUnavailable("injected")

    return say
