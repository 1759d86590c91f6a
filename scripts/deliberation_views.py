"""How the demo draws votes, conversations and review loops: from a run as `GET task/{id}` shows it, at any moment."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Task = Mapping[str, Any]

MARKS = {
    "pending": ("·", "dim"),
    "running": ("▸", "cyan"),
    "waiting": ("↻", "yellow"),
    "succeeded": ("✓", "green"),
    "skipped": ("-", "dim"),
}
_FAILED = ("✗", "red")
_WIDTH = 24
_SHOWN = 90


def votes(task: Task) -> RenderableType:
    """Each voter with its ballot and reason, the count as bars, and the verdict once there is one."""
    table = Table.grid(padding=(0, 2))
    ballots = {ballot["voter"]: ballot for ballot in (task["result"] or {}).get("ballots", ())}
    for step in task["steps"]:
        said = ballots.get(step["step_id"]) or _answer(step)
        table.add_row(*_marked(step), Text(_ballot(step, said), "bold"), Text(_short(said.get("reason") or "")))
    return Group(table, Text(), *_count(task, ballots), *_verdict(task))


def conversation(task: Task) -> RenderableType:
    """The way that a conversation took, one line for each who held it, and the reply in the end."""
    table = Table.grid(padding=(0, 2))
    for place, step in enumerate(task["steps"]):
        said = _answer(step)
        to = said.get("pass_to")
        does = f"→ {to}" if to else "replies" if said else ""
        mark, name = _marked(step)
        table.add_row(mark, Text("  " * place) + name, Text(does, "bold"), Text(_short(said.get("reason") or "")))
    result = task["result"] or {}
    refused = [
        Text(f"  {each['by']} may not pass to {each['to']}: {each['refused']}", "yellow") for each in _refused(task)
    ]
    end = [Text(f"\n{result['replied_by']}: {result['reply']}")] if result.get("replied_by") else []
    return Group(table, *refused, *end, *_error(task))


def rounds(task: Task) -> RenderableType:
    """Each draft and what was said of it, round by round."""
    table = Table.grid(padding=(0, 2))
    for place, step in enumerate(task["steps"]):
        said = step["result"]
        review = isinstance(said, Mapping) and "satisfied" in said
        number = Text(f"round {place // 2 + 1}" if place % 2 == 0 else "", "dim")
        if review:
            what, style = ("accepted", "green") if said["satisfied"] else ("to be revised", "yellow")
            detail = "" if said["satisfied"] else _short(said["problems"][0])
        else:
            what, style, detail = (f"{len(str(said).split())} words" if said else ""), "", ""
        table.add_row(number, *_marked(step), Text(what, style), Text(detail))
    ended = (task["result"] or {}).get("ended")
    end = [Text(f"\n{ended.replace('_', ' ')} in round {task['result']['rounds']}", "bold")] if ended else []
    return Group(table, *end, *_error(task))


VIEWS = {"consensus": votes, "handoff": conversation, "review-loop": rounds}


def _marked(step: Mapping[str, Any]) -> tuple[Text, Text]:
    mark, style = MARKS.get(step["status"], _FAILED)
    return Text(f"  {mark}", style), Text(step["name"], style)


def _answer(step: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a step answered, when that is JSON with fields; its text as the reply otherwise."""
    result = step["result"]
    if isinstance(result, Mapping):
        return result
    return {} if result is None else {"reply": result}


def _ballot(step: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    if said.get("abstention"):
        return str(said["abstention"]).replace("_", " ")
    if said.get("ranking"):
        return " > ".join(said["ranking"])
    given = said.get("choice", said.get("score"))
    if given is None and step["status"] == "succeeded":
        return "abstained"
    return "" if given is None else str(given)


def _count(task: Task, ballots: Mapping[str, Any]) -> list[RenderableType]:
    counted = (task["result"] or {}).get("tally")
    if not counted or not ballots:
        return []
    most = max([*counted["support"].values(), 1])
    bars = Table.grid(padding=(0, 2))
    for option, support in counted["support"].items():
        bar = "█" * round(_WIDTH * support / most)
        bars.add_row(Text(f"  {option}"), Text(bar, "cyan"), Text(f"{support:g} {counted['unit']}"))
    return [bars, Text(f"  {counted['cast']} cast, {counted['needed']} needed, margin {counted['margin']:g}", "dim")]


def _verdict(task: Task) -> list[RenderableType]:
    result = task["result"] or {}
    if not result.get("tally"):
        return _error(task)
    if result["decision"] is None:
        return [Text("\nno decision", "bold yellow"), *_error(task)]
    early = ", before everybody was asked" if result["early"] else ""
    against = f", against {', '.join(result['dissent'])}" if result["dissent"] else ""
    return [
        Text(f"\n{result['decision']}", "bold green") + Text(f", decided by {result['decided_by']}{early}{against}")
    ]


def _refused(task: Task) -> list[Mapping[str, Any]]:
    return [each for each in (task["result"] or {}).get("passes", ()) if each["refused"]]


def _error(task: Task) -> list[RenderableType]:
    error = task["error"]
    return [Text(f"\n{task['status']}: {error['message']}", "red")] if error else []


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
