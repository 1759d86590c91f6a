"""Where everything that is counted in the host's process comes together."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from scripts.cost.counts import (
    ArtifactCounts,
    BusCounts,
    Counts,
    Execution,
    LogCounts,
    ModelCounts,
    StoreCounts,
    TelemetryCounts,
)
from shared.contracts import Usage
from shared.messaging.charges import BusCharges, operations_of
from shared.state.charges import Charges


@dataclass
class _Running:
    function: str
    model_calls: int = 0


_RUNNING: ContextVar[_Running | None] = ContextVar("the execution that this is part of", default=None)


class Charged(Protocol):
    """A store that counts what it is charged."""

    charges: Charges


@dataclass
class Tally:
    """Counts until it is asked, and then begins anew. One process has one, as it has one app.

    `bus` and `stores` are what the app's own adapters count of themselves; everything else is told here. `flush` sends
    what telemetry the app still holds, and may block.
    """

    bus: BusCharges | None = None
    stores: tuple[Charged, ...] = ()
    flush: Callable[[], None] = lambda: None
    unsettled: int = 0
    _executions: list[Execution] = field(default_factory=list)
    _counted: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def execution(self, function: str) -> Iterator[None]:
        """Count a call of a function, which lasts as long as this."""
        running = _Running(function)
        token = _RUNNING.set(running)
        began = perf_counter()
        try:
            yield
        finally:
            _RUNNING.reset(token)
            seconds = perf_counter() - began
            self._executions.append(Execution(function=function, seconds=seconds, model_calls=running.model_calls))

    def asked_model(self) -> None:
        """Count a call of the model, for the function that makes it."""
        self._counted["model calls"] += 1
        running = _RUNNING.get()
        if running is not None:
            running.model_calls += 1

    def used(self, usage: Usage) -> None:
        """Count the tokens of an answer."""
        self._counted["input tokens"] += usage.input_tokens
        self._counted["output tokens"] += usage.output_tokens

    def delivered(self, size: int) -> None:
        """Count a message that a trigger received. Until it is settled, its run is not over."""
        self.unsettled += 1
        self._counted["deliveries"] += 1
        self._counted["delivery operations"] += operations_of(size)

    def settled(self, how: str) -> None:
        """Count that a trigger `completed` or `abandoned` a message."""
        self.unsettled -= 1
        self._counted[how] += 1

    def renewed(self) -> None:
        """Count that a trigger renewed a lock."""
        self._counted["renewed"] += 1

    def stored(self, size: int) -> None:
        """Count an artifact that was stored."""
        self._counted["puts"] += 1
        self._counted["artifact bytes"] += size

    def fetched(self) -> None:
        """Count an artifact that was read."""
        self._counted["gets"] += 1

    def logged(self, size: int) -> None:
        """Count a record of the log."""
        self._counted["log records"] += 1
        self._counted["log bytes"] += size

    def spanned(self, size: int) -> None:
        """Count a span that was exported."""
        self._counted["spans"] += 1
        self._counted["span bytes"] += size

    def measured(self, size: int) -> None:
        """Count a point of a metric that was exported."""
        self._counted["points"] += 1
        self._counted["point bytes"] += size

    def take(self) -> Counts:
        """Everything that was counted since the last time; orchestrations and documents are counted elsewhere."""
        counted, self._counted = self._counted, Counter()
        executions, self._executions = tuple(self._executions), []
        return Counts(
            executions=executions,
            bus=self._take_bus(counted),
            store=self._take_stores(),
            artifacts=ArtifactCounts(puts=counted["puts"], gets=counted["gets"], bytes=counted["artifact bytes"]),
            model=ModelCounts(
                calls=counted["model calls"],
                input_tokens=counted["input tokens"],
                output_tokens=counted["output tokens"],
            ),
            log=LogCounts(records=counted["log records"], bytes=counted["log bytes"]),
            telemetry=TelemetryCounts(
                spans=counted["spans"],
                span_bytes=counted["span bytes"],
                points=counted["points"],
                point_bytes=counted["point bytes"],
            ),
        )

    def _take_bus(self, counted: Mapping[str, int]) -> BusCounts:
        sent = self.bus or BusCharges()
        counts = BusCounts(
            transfers=sent.transfers.total(),
            transfer_operations=sent.operations.total(),
            messages=sent.messages.total(),
            deliveries=counted["deliveries"],
            delivery_operations=counted["delivery operations"],
            completed=counted["completed"],
            abandoned=counted["abandoned"],
            renewed=counted["renewed"],
        )
        for counter in (sent.transfers, sent.operations, sent.messages):
            counter.clear()
        return counts

    def _take_stores(self) -> StoreCounts:
        requests: Counter[str] = Counter()
        units = 0.0
        for store in self.stores:
            requests.update(store.charges.operations)
            units += sum(store.charges.request_units.values())
            store.charges.operations.clear()
            store.charges.request_units.clear()
        # A server of the protocol that says 1 for everything has charged nothing.
        return StoreCounts(requests=dict(requests), charged=None if units == requests.total() else units)


TALLY = Tally()
"""The tally of this process."""
