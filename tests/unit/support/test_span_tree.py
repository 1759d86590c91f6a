"""What is wrong with a trace is found, and a trace is drawn as a tree."""

from dataclasses import replace

import pytest

from tests.support.otlp_receiver import Span
from tests.support.span_tree import broken, drawn, way


def span(name: str, span_id: str, parent_id: str = "", *, start: int = 0, end: int = 2_000_000) -> Span:
    return Span(
        name=name,
        kind="internal",
        trace_id="t",
        span_id=span_id,
        parent_id=parent_id,
        start_ns=start,
        end_ns=end,
        status="unset",
        status_message="",
        attributes={},
        events=(),
        links=(),
        resource={},
        scope="",
    )


ROOT, CHILD, LEAF = span("root", "1"), span("child", "2", "1", start=1_000_000), span("leaf", "3", "2", start=1_500_000)
TRACE = [LEAF, ROOT, CHILD]


def test_a_connected_trace_has_nothing_wrong_with_it() -> None:
    assert broken(TRACE) == []
    assert broken([CHILD, LEAF], outside="1") == []


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        ([], "there are 0 traces"),
        ([*TRACE, replace(ROOT, trace_id="u", span_id="9")], "there are 2 traces"),
        ([*TRACE, replace(ROOT, span_id="9")], "there are 2 roots: ['root', 'root']"),
        ([CHILD, LEAF], "there are 0 roots"),
        ([ROOT, LEAF], "the parent of leaf (3, parent 2) is not there"),
        ([*TRACE, LEAF], "2 spans have the id 3"),
        ([ROOT, replace(CHILD, end_ns=0)], "child (2, parent 1) ended before it began"),
        ([ROOT, replace(CHILD, parent_id="3"), LEAF], "leaf (3, parent 2) is its own ancestor"),
    ],
)
def test_what_is_wrong_is_said(trace: list[Span], said: str) -> None:
    assert any(said in line for line in broken(trace)), broken(trace)


def test_a_trace_that_should_continue_the_clients_and_does_not_is_told() -> None:
    assert "there are 0 roots: []" in broken(TRACE, outside="8")


def test_the_way_to_a_span_begins_at_the_root() -> None:
    assert way(TRACE, LEAF) == ["root", "child", "leaf"]
    assert way([CHILD, LEAF], LEAF) == ["child", "leaf"]


def test_a_trace_is_drawn_in_the_order_in_which_its_spans_began() -> None:
    other = replace(span("other", "4", "1", start=500_000), status="error", status_message="ValueError")
    lost = span("lost", "5", "77", start=3_000_000)
    assert drawn([*TRACE, other, lost]).splitlines() == [
        "root [internal]  +0 ms, 2 ms",
        "├─ other [internal]  +0 ms, 2 ms  FAILED: ValueError",
        "└─ child [internal]  +1 ms, 1 ms",
        "   └─ leaf [internal]  +2 ms, 0 ms",
        "lost [internal]  +3 ms, -1 ms  (its parent is not there)",
    ]
    assert drawn([ROOT, CHILD], times=False) == "root [internal]\n└─ child [internal]"
    assert drawn([]) == ""
