"""How the demo draws teams and events: from a run as `GET task/{id}` shows it, at any moment."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from scripts.deliberation_views import MARKS

Task = Mapping[str, Any]

_FAILED = ("✗", "red")
_SHOWN = 100


def team(task: Task) -> RenderableType:
    """The master, each team under it, and who has made what so far; then what it came to."""
    root = Tree(Text("master", "bold"))
    branches: dict[str, Tree] = {"": root}
    for step in task["steps"]:
        path, _, name = step["step_id"].rpartition(".")
        _branch(branches, path).add(_line(step, name))
    return Group(root, *_result(task), *_error(task))


def causes(task: Task) -> RenderableType:
    """The causal tree: events, the reactions to them, and the events that those published; and what was cut."""
    record = task["result"]
    if not isinstance(record, Mapping) or "events" not in record:
        return _under_way(task)
    steps = {step["step_id"]: step for step in task["steps"]}
    trees: dict[str, Tree] = {}
    reactions: dict[str, Tree] = {}
    roots: list[Tree] = []
    # An event stands after its cause in the record, so that its reaction's place is known when it is drawn.
    for event in record["events"]:
        label = Text(event["type"], "bold") + Text(f"  {event['id']}", "dim")
        cause = reactions.get(event["published_by"])
        trees[event["id"]] = Tree(label) if cause is None else cause.add(label)
        if cause is None:
            roots.append(trees[event["id"]])
        for each in record["reactions"]:
            if each["event"] == event["id"]:
                step = steps.get(each["name"]) or {"status": each["status"], "result": each["output"]}
                reactions[each["name"]] = trees[event["id"]].add(_line(step, each["agent"]))
    for cut in record["cut"]:
        trees[cut["event"]].add(Text(f"✂ {cut['cause']}", "yellow"))
    return Group(*roots, *_error(task))


def _under_way(task: Task) -> RenderableType:
    """Before there is a record, the reactions that have begun, under their events' ids."""
    trees: dict[str, Tree] = {}
    for step in task["steps"]:
        event, _, agent = step["step_id"].rpartition(".")
        trees.setdefault(event, Tree(Text(event, "dim"))).add(_line(step, agent))
    return Group(*trees.values(), *_error(task))


def _branch(branches: dict[str, Tree], path: str) -> Tree:
    if path not in branches:
        above, _, name = path.rpartition(".")
        branches[path] = _branch(branches, above).add(Text(name, "bold"))
    return branches[path]


def _line(step: Mapping[str, Any], name: str) -> Text:
    mark, style = MARKS.get(step["status"], _FAILED)
    line = Text(f"{mark} {name}", style)
    said = _summary(step["result"])
    return line + Text(f"  {said}", "dim") if said else line


def _summary(output: Any) -> str:
    """The most telling words of an output: a review's verdict, the first text of a form, or the text itself."""
    if isinstance(output, Mapping) and "rework" in output:
        back = ", ".join(each["part"] for each in output["rework"])
        return f"sends back {back}" if back else "accepts everything"
    if isinstance(output, Mapping):
        texts = [value for value in output.values() if isinstance(value, str) and value]
        return _short(texts[0]) if texts else ""
    return _short(output) if isinstance(output, str) else ""


def _result(task: Task) -> list[RenderableType]:
    result = task["result"]
    return [Text(f"\n{_short(result)}", "green")] if isinstance(result, str) else []


def _error(task: Task) -> list[RenderableType]:
    error = task["error"]
    return [Text(f"\n{task['status']}: {error['message']}", "red")] if error else []


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
