"""Telemetry as the app sees it: spans, whose context travels with messages, and measures.

A span's context travels as a `traceparent`, the header of W3C Trace Context. Nothing here ever fails or waits: what
cannot be delivered to observers is lost.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.contracts import ErrorInfo
from shared.telemetry.names import MetricName, SpanName

type Value = str | int | float | bool | None
type Attributes = Mapping[str, Value]
"""Attributes by name. None is an attribute that is left out."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured value. A counter's is added, a histogram's is recorded, a gauge's replaces the one before."""

    metric: MetricName
    value: float
    attributes: Attributes = field(default_factory=dict)


class Span(Protocol):
    """A span that has begun."""

    @property
    def traceparent(self) -> str | None:
        """Its context, for what it leads to elsewhere; None when nothing is traced."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Add attributes, or replace them. Those that hold content are left out unless content is asked for."""
        ...

    def failed(self, error: BaseException | ErrorInfo) -> None:
        """Mark it as failed, with the error's type and fault domain; the first failure that is told stays."""
        ...

    def end(self, at: datetime | None = None) -> None:
        """End it, now unless `at` says when. Whatever comes after is ignored."""
        ...


class Telemetry(Protocol):
    """Where spans and measures go."""

    @property
    def shows_content(self) -> bool:
        """Whether prompts, answers and error messages may leave."""
        ...

    @property
    def traceparent(self) -> str | None:
        """The context of the span that is current; None when there is none."""
        ...

    def span(
        self, name: SpanName, subject: str, *, parent: str | None = None, attributes: Attributes | None = None
    ) -> AbstractContextManager[Span]:
        """A span that is current while the context lasts, and has failed when an exception leaves it.

        Its parent is what is current here, as long as that belongs to the trace of `parent`; otherwise it is
        `parent`, and what is current is linked.
        """
        ...

    def begin(
        self,
        name: SpanName,
        subject: str,
        *,
        parent: str | None = None,
        attributes: Attributes | None = None,
        since: datetime | None = None,
    ) -> Span:
        """A span that is not made current, for the caller to end.

        One that began earlier (`since`) has the parent it is given, because what is current now began later.
        """
        ...

    def record(self, measures: Iterable[Measure]) -> None:
        """Record measures. They are not even computed when nobody listens, if they are given as a generator."""
        ...

    def close(self) -> None:
        """Deliver what is left, within a bound, and stop."""
        ...
