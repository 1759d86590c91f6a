"""How the demo draws sequences and fan-outs: from a run as `GET task/{id}` shows it, at any moment."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

Task = Mapping[str, Any]

MARKS = {
    "pending": ("·", "dim"),
    "running": ("▸", "cyan"),
    "waiting": ("↻", "yellow"),
    "succeeded": ("✓", "green"),
    "skipped": ("-", "dim"),
    "timed_out": ("⧖", "red"),
}
_FAILED = ("✗", "red")
_LANE = 40
_SHOWN = 70


def tree(task: Task) -> RenderableType:
    """The steps from top to bottom, those of a nested pattern as branches of it."""
    root = Tree(Text(f"{task['type']}: {task['status']}", "bold"))
    branches: dict[str, Tree] = {"": root}
    for step in task["steps"]:
        parent, _, name = step["step_id"].rpartition(".")
        _branch(branches, parent).add(Text.assemble(*_marked(step, name), *_time(step), *_cause(step)))
    return Group(root, *_end(task))


def lanes(task: Task) -> RenderableType:
    """One lane for each agent, side by side in time, how many have answered, and what was made of it."""
    table = Table.grid(padding=(0, 2))
    begun = _instant(task["created_at"])
    last = max((_instant(end) for end in [task["updated_at"], *_ends(task["steps"])]), default=begun)
    for step in task["steps"]:
        table.add_row(
            Text.assemble(*_marked(step, step["name"])),
            _bar(step, begun, last),
            Text.assemble(*_time(step)),
            Text.assemble(*_cause(step)),
        )
    answered = sum(step["status"] == "succeeded" for step in task["steps"])
    return Group(table, Text(f"\n{answered} of {len(task['steps'])} have answered", "bold"), *_end(task))


def _branch(branches: dict[str, Tree], path: str) -> Tree:
    if path not in branches:
        parent, _, name = path.rpartition(".")
        branches[path] = _branch(branches, parent).add(Text(f"┬ {name}", "bold"))
    return branches[path]


def _marked(step: Task, name: str) -> Sequence[tuple[str, str]]:
    mark, style = MARKS.get(step["status"], _FAILED)
    return (f"{mark} ", style), (name, style)


def _time(step: Task) -> Sequence[tuple[str, str]]:
    return [(f"  {step['run_seconds']:.2f} s", "dim")] if step["run_seconds"] is not None else []


def _cause(step: Task) -> Sequence[tuple[str, str]]:
    error = step["error"]
    return [(f"  {error['message'][:_SHOWN]}", "red")] if error else []


def _bar(step: Task, begun: datetime, last: datetime) -> Text:
    """When a step ran, within the time of the whole run so far."""
    if step["started_at"] is None:
        return Text("")
    whole = max((last - begun).total_seconds(), 0.001)
    ended = _instant(step["completed_at"]) if step["completed_at"] else last
    start = round((_instant(step["started_at"]) - begun).total_seconds() / whole * _LANE)
    length = max(1, round((ended - _instant(step["started_at"])).total_seconds() / whole * _LANE))
    _, style = MARKS.get(step["status"], _FAILED)
    return Text(" " * min(start, _LANE - 1) + "━" * min(length, _LANE - min(start, _LANE - 1)), style)


def _ends(steps: Sequence[Task]) -> list[str]:
    return [step["completed_at"] for step in steps if step["completed_at"]]


def _end(task: Task) -> list[RenderableType]:
    if task["error"]:
        return [Text(f"\n{task['error']['message']}", "red")]
    if isinstance(task["result"], str):
        return [Panel(Markdown(task["result"]), title="result", title_align="left")]
    return []


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
