"""The examples in `docs/patterns.md`: each request is one that the app takes, each result the one that a run gives."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agents.catalog import CATALOG
from orchestrations.door import check_request
from orchestrations.registry import PATTERNS
from shared.contracts import EventDraft
from tests.support.documents import a_failure, a_result
from tests.support.pattern_run import PatternRun

TEXT = (Path(__file__).parents[2] / "docs" / "patterns.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^## ([a-z-]+)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))

# What each agent of an example answers, by step, in this order.
ANSWERS: dict[str, list[tuple[str, Any]]] = {
    "sequential": [
        ("research", "Rivers carry salt."),
        ("check.academic", {"summary": "Established."}),
        ("check.news", a_failure()),
        ("draft", "# Why the sea is salt"),
        ("editor", "# Why the sea is salt\n\nRain carries it there."),
    ],
    "parallel": [
        ("web", {"summary": "Street lamps."}),
        ("academic", {"summary": "Moths circle."}),
        ("news", a_failure()),
        ("aggregator", "They do, mostly by drawing them away from what they live on."),
    ],
    "hierarchical": [
        ("research.scraper", {"facts": [], "missing": "figures"}),
        ("research.paper-analyst", {"papers": [], "agreement": "", "open_questions": ""}),
        ("research.manager_1", {"rework": [], "merged": "The dossier."}),
        ("content.writer", "# Why the sea is salt"),
        ("content.editor", "# Why the sea is salt\n\nRain carries it there."),
        (
            "content.manager_1",
            {"rework": [], "merged": "# Why the sea is salt\n\nRain carries it there, and only the water leaves."},
        ),
    ],
    "event-driven": [
        ("e1.archiver", {"bytes": 94}),
        (
            "e1.analyst",
            a_result({"summary": "One reading is off."}, events=[EventDraft(type="AnalysisCompleted", data={})]),
        ),
        ("e1.notifier", a_failure()),
        ("e2.notifier", {"title": "Check the hall"}),
    ],
    "consensus": [
        ("moderator-policy", {"choice": "remove", "reason": "It calls for violence at an address."}),
        ("moderator-context", {"choice": "remove", "reason": "Nothing shows that it is meant as a joke."}),
    ],
    "handoff": [
        ("router", {"pass_to": "support-billing", "reason": "A double charge."}),
        ("support-billing", {"reply": "The second charge goes back to your card within five days."}),
    ],
    "review-loop": [
        ("writer", "# Why the sea is salt"),
        (
            "reviewer",
            {"satisfied": False, "problems": ["It does not say where the salt comes from."], "summary": "Nearly."},
        ),
        ("writer-2", "# Why the sea is salt\n\nRain carries it there."),
        ("reviewer-2", {"satisfied": True, "problems": [], "summary": "Clear and short."}),
    ],
}


def examples(section: str, kind: str) -> list[Any]:
    """The JSON blocks of a section that are of a kind, `request` or `result`."""
    return [json.loads(block) for block in re.findall(rf"^```json {kind}\n(.*?)^```", SECTIONS[section], re.M | re.S)]


def test_every_section_is_about_a_pattern_that_there_is() -> None:
    assert set(ANSWERS) == set(SECTIONS) == set(PATTERNS)


@pytest.mark.parametrize("pattern", sorted(SECTIONS))
def test_every_section_says_when_to_use_it_when_not_what_it_costs_and_how_it_fails(pattern: str) -> None:
    for heading in ("**When to use it.**", "**When not.**", "**What it costs.**", "**How it fails.**"):
        assert heading in SECTIONS[pattern]


@pytest.mark.parametrize("pattern", sorted(SECTIONS))
def test_every_request_is_one_that_the_app_takes(pattern: str) -> None:
    requests = examples(pattern, "request")
    assert requests
    for given in requests:
        check_request(PATTERNS[pattern].request.model_validate(given), CATALOG.cards)


@pytest.mark.parametrize("pattern", sorted(ANSWERS))
def test_every_result_is_the_one_that_a_run_of_the_request_gives(pattern: str) -> None:
    [given], [result] = examples(pattern, "request"), examples(pattern, "result")
    run = PatternRun(given, cards={name: card for name, card in CATALOG.cards.items() if card.subscribes})
    for step, answer in ANSWERS[pattern]:
        run.answer(step, answer)
    assert run.result.result == result
