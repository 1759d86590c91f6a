"""Traces as trees: what is wrong with one, the way from its root to a span, and a drawing of it for people."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.support.otlp_receiver import Span


def broken(trace: Sequence[Span], *, outside: str = "") -> list[str]:
    """What keeps the spans from being one connected trace, a line for each thing; nothing when they are.

    `outside` is the id of a span that the trace continues and that is not in it: the client's own. Its children are the
    roots then; without it there must be exactly one root.
    """
    known = {span.span_id: span for span in trace}
    lines = [f"{count} spans have the id {found}" for found, count in _doubled(trace)]
    traces = {span.trace_id for span in trace}
    if len(traces) != 1:
        lines.append(f"there are {len(traces)} traces: {sorted(traces)}")
    top = [span for span in trace if span.parent_id == outside]
    if (len(top) != 1 and not outside) or not top:
        lines.append(f"there are {len(top)} roots: {[span.name for span in top]}")
    lost = [span for span in trace if span.parent_id not in known and span.parent_id != outside]
    lines += [f"the parent of {_line(span)} is not there" for span in lost]
    lines += [f"{_line(span)} ended before it began" for span in trace if span.end_ns < span.start_ns]
    lines += [f"{_line(span)} is its own ancestor" for span in trace if _turns(span, known)]
    return lines


def way(trace: Iterable[Span], span: Span) -> list[str]:
    """The names from the root to `span`, which is the last; spans of which there are many are met on each way."""
    known = {each.span_id: each for each in trace}
    names = [span.name]
    while (above := known.get(span.parent_id)) is not None:
        names.insert(0, above.name)
        span = above
    return names


def drawn(trace: Sequence[Span], *, times: bool = True) -> str:
    """The trace as text, one span a line, children below their parents in the order in which they began."""
    known = {span.span_id for span in trace}
    children: dict[str, list[Span]] = {}
    for span in sorted(trace, key=lambda each: each.start_ns):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    begin = min((span.start_ns for span in trace), default=0)
    lines: list[str] = []

    def draw(span: Span, lead: str, branch: str, below: str) -> None:
        took = f"  +{(span.start_ns - begin) / 1e6:.0f} ms, {span.seconds * 1000:.0f} ms" if times else ""
        failed = f"  FAILED: {span.status_message}" if span.status == "error" else ""
        lost = "  (its parent is not there)" if span.parent_id and span.parent_id not in known else ""
        lines.append(f"{lead}{branch}{span.name} [{span.kind}]{took}{failed}{lost}")
        inner = children.get(span.span_id, [])
        for each in inner:
            last = each is inner[-1]
            draw(each, lead + below, "└─ " if last else "├─ ", "   " if last else "│  ")

    for root in children.get("", []):
        draw(root, "", "", "")
    return "\n".join(lines)


def _doubled(trace: Iterable[Span]) -> list[tuple[str, int]]:
    return [(found, count) for found, count in Counter(span.span_id for span in trace).items() if count > 1]


def _turns(span: Span, known: dict[str, Span]) -> bool:
    seen = {span.span_id}
    above = known.get(span.parent_id)
    while above is not None and above.span_id not in seen:
        seen.add(above.span_id)
        above = known.get(above.parent_id)
    return above is not None


def _line(span: Span) -> str:
    return f"{span.name} ({span.span_id}, parent {span.parent_id or 'none'})"
