"""W3C trace context is read strictly, written as it was read, and derived ids stay the same."""

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from devhost.telemetry.trace_context import TraceContext, derived_span_id

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"


def test_a_header_is_written_as_it_was_read() -> None:
    context = TraceContext.parsed(HEADER)
    assert context is not None
    assert (f"{context.trace_id:x}".zfill(32), f"{context.span_id:x}", context.flags) == (TRACE, SPAN, 1)
    assert context.traceparent == HEADER


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        HEADER.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f" {HEADER}",
        f"{HEADER}\n",
    ],
)
def test_what_is_no_valid_header_says_nothing(header: str) -> None:
    assert TraceContext.parsed(header) is None


def test_a_later_version_may_say_more() -> None:
    assert TraceContext.parsed(f"01-{TRACE}-{SPAN}-01-more") == TraceContext.parsed(HEADER)


def test_the_durable_protocols_message_keeps_the_vendors_state() -> None:
    message = pb.TraceContext(traceParent=HEADER, spanID=SPAN, traceState=StringValue(value="vendor=1"))
    context = TraceContext.of(message)
    assert context is not None
    assert context.message() == message
    assert TraceContext.of(pb.TraceContext()) is None


def test_derived_ids_are_the_same_for_the_same_parts_and_differ_for_others() -> None:
    assert derived_span_id("task", "i", 1) == derived_span_id("task", "i", 1)
    ids = {derived_span_id(*parts) for parts in (("task", "i", 1), ("task", "i", 2), ("task", "i1"), ("taski", 1))}
    assert len(ids) == 4
    assert all(0 < each < 2**64 for each in ids)
