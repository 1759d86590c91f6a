"""A small run of each pattern for the whole system: what is asked, what the model answers, and who is invoked by it."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.support.chat_model import ChatModel
from tests.support.deciding_model import DecidingModel


def ballot(choice: str) -> dict[str, str]:
    return {"reason": f"It is to {choice}.", "choice": choice}


def turn(to: str, reply: str = "") -> dict[str, str]:
    return {"reason": "So it is.", "pass_to": to, "reply": reply}


def form(verdict: str) -> dict[str, Any]:
    return {"summary": "s", "remark": "The title lies.", "further_remarks": [], "verdict": verdict}


def review(merged: str) -> dict[str, Any]:
    return {"rework": [], "merged": merged}


@dataclass(frozen=True)
class PatternRun:
    """A run of the pattern `name`: its request, what the model says, how often agents are invoked, what is nested."""

    name: str
    request: dict[str, Any]
    says: dict[str, Any]
    invoked: dict[str, int]
    orchestrations: tuple[str, ...] = ()


RUNS = [
    PatternRun(
        "sequential", {"request": {"topic": "Tides"}, "agents": ["writer", "editor"]}, {}, {"writer": 1, "editor": 1}
    ),
    PatternRun(
        "sequential",
        {"request": "Tides", "agents": ["writer", {"pattern": "parallel", "name": "stage", "agents": ["web", "news"]}]},
        {},
        {"writer": 1, "web": 1, "news": 1},
        ("parallel",),
    ),
    PatternRun(
        "parallel", {"request": "Tides", "agents": ["web", "news", "social"]}, {}, {"web": 1, "news": 1, "social": 1}
    ),
    PatternRun(
        "hierarchical",
        {"preset": "editorial", "request": {"topic": "Tides", "pages": ["The moon pulls."]}},
        {
            "scraper": {"facts": [], "missing": "more pages"},
            "paper_analyst": {"papers": [], "agreement": "None.", "open_questions": "Which?"},
            "research_manager": review("The dossier."),
            "content_manager": review("The article."),
        },
        {"scraper": 1, "paper-analyst": 1, "research-manager": 1, "writer": 1, "editor": 1, "content-manager": 1},
        ("hierarchical", "hierarchical"),
    ),
    PatternRun(
        "event-driven",
        {"event": "DataReceived", "request": {"rows": [3, 1, 2]}},
        {
            "analyst": {"summary": "Three rows.", "findings": [], "anomalies": [], "confidence": "low"},
            "notifier": {"title": "Data came", "body": "Three rows.", "urgency": "know", "reason": "Nothing to do."},
        },
        {"analyst": 1, "archiver": 1, "notifier": 2},
    ),
    PatternRun(
        "consensus",
        {"preset": "moderation", "request": {"post": "You are all idiots."}},
        {"moderator_policy": ballot("remove"), "moderator_context": ballot("remove")},
        {"moderator-policy": 1, "moderator-context": 1},
    ),
    PatternRun(
        "handoff",
        {"preset": "support", "request": "I cannot pay."},
        {"router": turn("support-billing"), "support_billing": turn("nobody", "It was refunded.")},
        {"router": 1, "support-billing": 1},
    ),
    PatternRun(
        "review-loop",
        {"request": {"topic": "Tides"}},
        {"writer": ["# First", "# Second"], "reviewer": [form("revise"), form("accept")]},
        {"writer": 2, "reviewer": 2},
    ),
]


class ScriptedModel(DecidingModel):
    """Whoever has no script gets the least that its form allows; the next `failures` requests are refused."""

    failures = 0

    async def complete(self, request: web.Request) -> web.Response:
        if self.failures:
            self.failures -= 1
            return web.json_response({"error": {"message": "overloaded"}}, status=503)
        return await super().complete(request)

    def say(self, asked: dict[str, Any]) -> str:
        answer = super().say(asked)
        return ChatModel.say(self, asked) if answer == "An answer." else answer


def run_of(name: str) -> PatternRun:
    """The first run of this pattern."""
    return next(run for run in RUNS if run.name == name)
