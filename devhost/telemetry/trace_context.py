"""W3C trace context: which trace something belongs to, and which span of it is its parent.

Source: https://www.w3.org/TR/trace-context/, section 3.2, and `TraceContext` of the Durable Task protocol.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Final, Self

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LATER_VERSIONS_ONLY: Final = 5
_INVALID_VERSION: Final = "ff"


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span of a trace, as others refer to it. `flags` 1 is "sampled"; `state` is the vendors' `tracestate`."""

    trace_id: int
    span_id: int
    flags: int = 1
    state: str = ""

    @classmethod
    def parsed(cls, traceparent: str, state: str = "") -> Self | None:
        """What a `traceparent` says; None when it says nothing valid."""
        found = _HEADER.fullmatch(traceparent)
        if found is None or found[1] == _INVALID_VERSION or (found[1] == "00" and found[_LATER_VERSIONS_ONLY]):
            return None
        trace_id, span_id = int(found[2], 16), int(found[3], 16)
        return cls(trace_id, span_id, int(found[4], 16), state) if trace_id and span_id else None

    @classmethod
    def of(cls, message: pb.TraceContext) -> Self | None:
        """What a message of the Durable Task protocol says; None when it says nothing valid."""
        return cls.parsed(message.traceParent, message.traceState.value)

    @property
    def traceparent(self) -> str:
        """The header's text."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags & 0xFF:02x}"

    def message(self) -> pb.TraceContext:
        """As the Durable Task protocol has it."""
        state = StringValue(value=self.state) if self.state else None
        return pb.TraceContext(traceParent=self.traceparent, spanID=f"{self.span_id:016x}", traceState=state)

    def with_span(self, span_id: int) -> "TraceContext":
        """Another span of the same trace."""
        return replace(self, span_id=span_id)


def derived_span_id(*parts: str | int) -> int:
    """A span id that is always the same for the same `parts`, and never zero.

    So what was told to be somebody's parent before a crash is emitted under that id after it.
    """
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8]) or 1
