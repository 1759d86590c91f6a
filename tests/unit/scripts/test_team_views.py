"""How teams and causal trees are drawn: every step is in it, where it belongs, at any moment of the run."""

import io
from typing import Any

from rich.console import Console

from scripts.team_views import causes, team


def drawn(view: Any) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(view)
    return console.export_text()


def step(step_id: str, status: str = "succeeded", result: Any = None) -> dict[str, Any]:
    return {"step_id": step_id, "name": step_id, "status": status, "result": result}


def task(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"status": "completed", "steps": list(steps), "result": None, "error": None, **changes}


def test_a_team_is_drawn_under_its_name_and_a_review_says_what_went_back() -> None:
    text = drawn(
        team(
            task(
                step("research.scraper", result={"facts": [], "missing": "figures"}),
                step("research.manager_1", result={"rework": [{"part": "scraper"}], "merged": "All."}),
                step("research.scraper_2", "failed"),
                step("draft", "pending"),
                result="The article.",
            )
        )
    )
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[:6] == [
        "master",
        "├── research",
        "│   ├── ✓ scraper  figures",
        "│   ├── ✓ manager_1  sends back scraper",
        "│   └── ✗ scraper_2",
        "└── · draft",
    ]
    assert "The article." in text


def test_a_run_without_a_result_says_why() -> None:
    assert "failed: no plan" in drawn(team(task(status="failed", error={"message": "no plan"})))


RECORD = {
    "events": [
        {"id": "e1", "type": "DataReceived", "published_by": None},
        {"id": "e2", "type": "AnalysisCompleted", "published_by": "e1.analyst"},
    ],
    "reactions": [
        {"name": "e1.analyst", "event": "e1", "agent": "analyst", "status": "succeeded", "output": {"summary": "Off."}},
        {"name": "e2.notifier", "event": "e2", "agent": "notifier", "status": "timed_out", "output": None},
    ],
    "cut": [{"event": "e2", "cause": "analyst has already reacted"}],
}


def test_an_event_is_drawn_under_the_reaction_that_published_it_and_a_cut_where_it_was_made() -> None:
    steps = step("e1.analyst", result={"summary": "Off."}), step("e2.notifier", "timed_out")
    lines = [line.rstrip() for line in drawn(causes(task(*steps, result=RECORD))).splitlines()]
    assert lines == [
        "DataReceived  e1",
        "└── ✓ analyst  Off.",
        "    └── AnalysisCompleted  e2",
        "        ├── ✗ notifier",
        "        └── ✂ analyst has already reacted",
    ]


def test_before_there_is_a_record_the_reactions_that_have_begun_are_drawn() -> None:
    text = drawn(causes(task(step("e1.analyst", "running"), step("e2.notifier", "waiting"), status="running")))
    assert [line.rstrip() for line in text.splitlines()] == ["e1", "└── ▸ analyst", "e2", "└── ↻ notifier"]
