"""Telemetry that is off: nothing is kept, computed or imported."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType

from shared.contracts import ErrorInfo
from shared.telemetry.names import SpanName
from shared.telemetry.telemetry import Attributes, Measure, Span


class _NoSpan(AbstractContextManager[Span]):
    """A span of which nothing is kept; one is enough for all."""

    __slots__ = ()

    traceparent: None = None

    def set(self, attributes: Attributes) -> None:
        """Keep nothing."""

    def failed(self, error: BaseException | ErrorInfo) -> None:
        """Keep nothing."""

    def end(self, at: datetime | None = None) -> None:
        """Keep nothing."""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


_NO_SPAN = _NoSpan()


class Off:
    """The twin of a telemetry that leaves."""

    __slots__ = ()

    shows_content = False
    traceparent: None = None

    def span(
        self,
        name: SpanName,  # noqa: ARG002
        subject: str,  # noqa: ARG002
        *,
        parent: str | None = None,  # noqa: ARG002
        attributes: Attributes | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[Span]:
        """No span."""
        return _NO_SPAN

    def begin(
        self,
        name: SpanName,  # noqa: ARG002
        subject: str,  # noqa: ARG002
        *,
        parent: str | None = None,  # noqa: ARG002
        attributes: Attributes | None = None,  # noqa: ARG002
        since: datetime | None = None,  # noqa: ARG002
    ) -> Span:
        """No span."""
        return _NO_SPAN

    def record(self, measures: Iterable[Measure]) -> None:
        """Record nothing."""

    def close(self) -> None:
        """Nothing is held."""


OFF = Off()
"""The one that is used wherever no other is given."""
