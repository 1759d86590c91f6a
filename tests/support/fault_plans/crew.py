"""Small agents and small requests for every pattern: what fault plans are carried out on.

An agent asks its model once or twice, under its own name, and returns what the model says as JSON.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from agents.catalog import Catalog
from agents.context import AgentContext
from agents.spec import AgentSpec, Handler
from orchestrations.nodes import PatternRequest
from orchestrations.registry import PATTERNS
from shared.cards import EventSubscription
from shared.contracts import AgentInput
from shared.errors import ModelAnswerInvalid
from tests.support.fault_plans.process import doing

HAPPENED, NOTED = "Happened", "Noted"


class Note(BaseModel):
    """What an agent asks for that has a wrong answer mended."""

    model_config = ConfigDict(extra="forbid")

    text: str


def _agent(name: str, handler: Handler | None = None, **limits: Any) -> AgentSpec:
    async def handle(context: AgentContext, given: AgentInput) -> JsonValue:
        doing.get().begin()
        return await (handler or _ask(name))(context, given)

    return AgentSpec(name=name, description=f"The {name} of a fault plan.", handler=handle, **limits)


def _ask(name: str) -> Handler:
    async def ask(context: AgentContext, _: AgentInput) -> JsonValue:
        said = await context.ask(name, "your turn")
        try:
            answer: JsonValue = json.loads(said)
        except ValueError:
            raise ModelAnswerInvalid(f"{name}'s model answered with no JSON") from None
        return answer

    return ask


async def _twice(context: AgentContext, given: AgentInput) -> JsonValue:
    await _ask("gamma")(context, given)
    return await _ask("gamma")(context, given)


async def _note(context: AgentContext, _: AgentInput) -> JsonValue:
    return (await context.ask_for(Note, "noting", "your turn")).text


async def _send(_: AgentContext, __: AgentInput) -> JsonValue:
    await doing.get().affect()
    return "sent"


async def _react(context: AgentContext, given: AgentInput) -> JsonValue:
    answer = await _ask("ears")(context, given)
    context.publish(NOTED, answer)
    return answer


_HEARS = (EventSubscription(type=HAPPENED),)
_ALL = (
    *map(_agent, ("alpha", "merger", "voter-1", "voter-2", "voter-3", "judge", "undoer")),
    *map(_agent, ("desk", "billing", "repairs", "checker", "planner")),
    _agent("gamma", _twice, model_calls=2),
    _agent("noting", _note, model_calls=2),
    _agent("quick", transport="activity"),
    _agent("sender", _send, uses_model=False, effect="unsafe"),
    _agent("manager", manages=True),
    _agent("ears", _react, subscribes=_HEARS, publishes=(NOTED,)),
    _agent("scribe", subscribes=(*_HEARS, EventSubscription(type=NOTED))),
)
_CREWS = {
    "sequential": ("alpha", "noting", "quick", "sender", "gamma", "undoer"),
    "parallel": ("alpha", "noting", "quick", "gamma", "sender", "merger"),
    "hierarchical": ("alpha", "noting", "gamma", "manager", "planner"),
    "event-driven": ("ears", "scribe"),
    "consensus": ("voter-1", "voter-2", "voter-3", "judge"),
    "handoff": ("desk", "billing", "repairs"),
    "review-loop": ("alpha", "noting", "checker"),
}
CATALOGS: Mapping[str, Catalog] = {
    pattern: Catalog([spec for spec in _ALL if spec.name in names]) for pattern, names in _CREWS.items()
}
"""Who there is in the runs of each pattern."""


def request_for(pattern: str, chance: random.Random) -> PatternRequest:
    """A request of this pattern; which one, chance decides."""
    asked = {"pattern": pattern, "request": "go", **_REQUESTS[pattern](chance)}
    if chance.random() < 0.4:
        asked["deadline_seconds"] = chance.choice((20, 100, 400))
    if chance.random() < 0.15:
        asked["budget"] = {"tokens": chance.choice((40_000, 400_000))}
    return PATTERNS[pattern].request.model_validate(asked)


def _sequential(chance: random.Random) -> dict[str, Any]:
    both = {"pattern": "parallel", "name": "both", "agents": ["noting", "gamma"]}
    undone = {"agent": "alpha", "undo": "undoer"}
    agents = chance.choice(
        (["alpha", "noting"], ["alpha", "quick"], ["sender", "alpha"], ["alpha", both, "sender"], [undone, "gamma"])
    )
    compensates = {"compensate": chance.choice(("on_failure", "on_cancel", "always"))} if undone in agents else {}
    return {"agents": agents, **compensates}


def _parallel(chance: random.Random) -> dict[str, Any]:
    teams = (("alpha", "gamma"), ("alpha", "noting", "gamma"), ("alpha", "quick"), ("gamma", "sender"))
    agents: list[Any] = list(chance.choice(teams))
    if chance.random() < 0.2:
        agents.append({"pattern": "sequential", "name": "deep", "agents": ["gamma"]})
    more: dict[str, Any] = {"aggregator": "merger"} if chance.random() < 0.4 else {}
    if chance.random() < 0.3:
        more["width"] = 1
    return {"agents": agents, "require": chance.choice(("all", "any", {"at_least": 1}, {"first": 2})), **more}


def _hierarchical(chance: random.Random) -> dict[str, Any]:
    if chance.random() < 0.25:
        return {"planner": "planner", "agents": ["alpha", "gamma"]}
    team = {"pattern": "hierarchical", "name": "team", "workers": ["noting"]}
    workers = chance.choice((["alpha"], ["alpha", "gamma"], ["alpha", team]))
    needs = {"gamma": ["alpha"]} if "gamma" in workers and chance.random() < 0.5 else {}
    return {"workers": workers, "needs": needs, "manager": "manager", "rework": chance.choice((0, 1))}


def _consensus(chance: random.Random) -> dict[str, Any]:
    tie = chance.choice(("judge", "no_decision"))
    voters = ["voter-1", "voter-2", "voter-3"][: chance.choice((2, 3))]
    return {"voters": voters, "options": ["yes", "no"], "rule": chance.choice(("majority", "unanimous")), "tie": tie}


_REQUESTS: Mapping[str, Callable[[random.Random], dict[str, Any]]] = {
    "sequential": _sequential,
    "parallel": _parallel,
    "hierarchical": _hierarchical,
    "event-driven": lambda chance: {"event": HAPPENED, "require": chance.choice(("all", {"at_least": 1}))},
    "consensus": _consensus,
    "handoff": lambda _: {"router": "desk", "specialists": ["billing", "repairs"]},
    "review-loop": lambda chance: {
        "maker": chance.choice(("alpha", "noting")),
        "checker": "checker",
        "max_rounds": 2,
        "unaccepted": chance.choice(("fail", "keep")),
    },
}


def answer_of(agent: str, chance: random.Random, number: int) -> JsonValue:
    """What the model says when an agent asks; `number` makes it different each time."""
    said = f"text {number}"
    match agent:
        case "voter-1" | "voter-2" | "voter-3" | "judge":
            return {"choice": chance.choice(("yes", "no"))}
        case "desk":
            return {"pass_to": chance.choice(("billing", "repairs"))} if chance.random() < 0.9 else {"reply": said}
        case "billing" | "repairs":
            return {"pass_to": "desk", "reason": "not mine"} if chance.random() < 0.2 else {"reply": said}
        case "checker":
            return {"satisfied": chance.random() < 0.5, "problems": ["a word"], "summary": said}
        case "manager":
            rework: JsonValue = [{"part": "alpha", "comment": "again"}] if chance.random() < 0.4 else []
            return {"merged": said, "rework": rework}
        case "planner":
            second: JsonValue = {"id": "two", "agent": "gamma", "instruction": "mend", "needs": ["one"]}
            return {"tasks": [{"id": "one", "agent": "alpha", "instruction": "make"}, second]}
        case "noting":
            return {"text": said}
        case _:
            return said
