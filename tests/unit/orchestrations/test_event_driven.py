"""The event-driven pattern: what is published, whose reactions are waited for, and what the record shows of it all."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.door import check_request
from orchestrations.requests import EventDrivenRequest, SequentialRequest
from shared.cards import AgentCard, EventSubscription
from shared.contracts import AgentResult, EventDraft
from shared.errors import InvalidRequest
from shared.events import reaction_task
from shared.status import RunStatus
from tests.support.documents import a_card, a_failure, a_result
from tests.support.pattern_run import PatternRun


def on(name: str, *types: str, **more: Any) -> AgentCard:
    """An agent that reacts to these event types."""
    return a_card(name, subscribes=[EventSubscription(type=each) for each in types], **more)


CARDS = {
    card.name: card
    for card in (
        on("analyst", "DataReceived", publishes=["AnalysisCompleted"]),
        on("archiver", "DataReceived", uses_model=False),
        on("notifier", "DataReceived", "AnalysisCompleted"),
    )
}
REQUEST: dict[str, Any] = {"pattern": "event-driven", "event": "DataReceived", "request": {"rows": [1, 2]}}
FIRST = ["e1.analyst", "e1.archiver", "e1.notifier"]


class EventRun(PatternRun):
    """A run of a request, with the agents above. An agent may be heard of before it was asked."""

    def __init__(self, request: dict[str, Any] | None = None, *, refusing: str = "", **changes: Any) -> None:
        cards = changes.pop("cards", CARDS)
        super().__init__({**(request or REQUEST), **changes}, cards=cards, refused_event=refusing)

    def react(self, name: str, result: AgentResult | Any = None, *events: str) -> None:
        """Let an agent react, and want these event types published."""
        if not isinstance(result, AgentResult):
            result = a_result(result, events=[EventDraft(type=each, data={"from": name}) for each in events])
        self.raise_event(name, result.model_dump(mode="json"))

    def raise_event(self, name: str, data: Any) -> None:
        """Raise a reaction's reply event with any data, on whoever waits for it, or will."""
        event = f"agent-reply-{name}"
        askers = [each for each in self._all() if event in each.ctx.events]
        (askers or [self.root])[0].raise_event(event, data)
        self._settle()

    @property
    def record(self) -> dict[str, Any]:
        result: Any = self.result.result
        return dict(result)


def finished(run: EventRun, *names: str) -> EventRun:
    for name in names:
        run.react(name)
    return run


# -- the tree ---------------------------------------------------------------------------------------------------


def test_the_first_event_carries_the_request_to_each_agent_that_subscribes() -> None:
    [event] = EventRun(source="/sensors/7", subject="hall").published
    assert (event.type, event.data, event.subject, event.origin) == (
        "DataReceived",
        {"rows": [1, 2]},
        "hall",
        "/sensors/7",
    )
    assert (event.id, event.rootid, event.hop, event.causationid, event.replyto) == ("e1", "run-1", 0, None, "run-1")
    assert event.reactors == "analyst archiver notifier"


def test_the_ready_made_run_shows_the_whole_causal_tree() -> None:
    run = EventRun()
    run.react("e1.archiver", "kept")
    run.react("e1.analyst", "analysed", "AnalysisCompleted")
    second = run.published[1]
    assert (second.id, second.hop, second.causationid, second.reactors) == ("e2", 1, "e1", "notifier")
    assert second.data == {"from": "e1.analyst"}
    finished(run, "e1.notifier", "e2.notifier")
    assert run.result.status is RunStatus.COMPLETED
    assert run.outcomes() == {**dict.fromkeys(FIRST, "answered"), "e2.notifier": "answered"}
    assert run.record["events"] == [
        {
            "id": "e1",
            "type": "DataReceived",
            "subject": None,
            "hop": 0,
            "caused_by": None,
            "published_by": None,
        },
        {
            "id": "e2",
            "type": "AnalysisCompleted",
            "subject": None,
            "hop": 1,
            "caused_by": "e1",
            "published_by": "e1.analyst",
        },
    ]
    assert [(each["name"], each["output"]) for each in run.record["reactions"]][:2] == [
        ("e1.analyst", "analysed"),
        ("e1.archiver", "kept"),
    ]
    assert run.record["cut"] == []


def test_an_agent_that_fails_does_not_hold_up_the_others() -> None:
    run = EventRun()
    run.react("e1.analyst", a_failure())
    finished(run, "e1.archiver", "e1.notifier")
    assert run.result.status is RunStatus.PARTIAL
    assert run.outcomes()["e1.analyst"] == "failed"


def test_what_a_failed_agent_wanted_published_is_not() -> None:
    run = EventRun()
    failed = a_failure().model_copy(update={"events": (EventDraft(type="AnalysisCompleted"),)})
    run.react("e1.analyst", failed)
    assert [event.id for event in run.published] == ["e1"]


def test_an_event_that_nobody_subscribes_to_is_published_and_the_run_goes_on() -> None:
    """Others than agents may listen to the topic."""
    run = EventRun()
    run.react("e1.analyst", "analysed", "Unheard")
    assert (run.published[1].type, run.published[1].reactors) == ("Unheard", "")
    finished(run, "e1.archiver", "e1.notifier")
    assert run.result.status is RunStatus.COMPLETED
    assert [event["type"] for event in run.record["events"]] == ["DataReceived", "Unheard"]


def test_an_event_that_the_topic_refuses_fails_the_reactions_to_it_and_no_others() -> None:
    run = EventRun(refusing="AnalysisCompleted")
    run.react("e1.analyst", "analysed", "AnalysisCompleted")
    finished(run, "e1.archiver", "e1.notifier")
    assert run.outcomes()["e2.notifier"] == "failed"
    assert run.result.status is RunStatus.PARTIAL


def test_a_topic_that_takes_nothing_fails_the_run() -> None:
    run = EventRun(refusing="DataReceived")
    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert (
        run.result.error.message
        == "0 of 3 reactions succeeded, 1 are required; the first cause: there is no such queue"
    )


# -- counting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations([*FIRST, "e2.notifier"])), ids="-".join)
def test_whatever_the_order_of_the_answers_every_one_is_counted(order: tuple[str, ...]) -> None:
    """Even an answer that is there before its event is known to have been published."""
    run = EventRun()
    for name in order:
        run.react(name, None, *(["AnalysisCompleted"] if name == "e1.analyst" else []))
    assert run.result.status is RunStatus.COMPLETED
    assert set(run.outcomes().values()) == {"answered"}
    assert len(run.outcomes()) == 4


def test_an_answer_that_comes_twice_publishes_its_events_once() -> None:
    run = EventRun()
    for _ in range(3):
        run.react("e1.analyst", "analysed", "AnalysisCompleted")
    assert [event.id for event in run.published] == ["e1", "e2"]
    finished(run, "e1.archiver", "e1.notifier", "e2.notifier")
    assert len(run.result.account) == 4


@pytest.mark.parametrize("data", [None, "text", {}, {"status": "ghost"}, [1]])
def test_an_answer_that_is_none_fails_its_reaction(data: Any) -> None:
    run = EventRun()
    run.raise_event("e1.analyst", data)
    finished(run, "e1.archiver", "e1.notifier")
    assert run.outcomes()["e1.analyst"] == "failed"


def test_an_agent_of_which_nothing_is_heard_times_out_alone() -> None:
    run = EventRun(deadline_seconds=60)
    finished(run, "e1.archiver", "e1.notifier")
    run.pass_time(61)
    assert run.outcomes() == {"e1.analyst": "timed_out", "e1.archiver": "answered", "e1.notifier": "answered"}
    assert run.result.status is RunStatus.PARTIAL


def test_a_lost_reaction_is_not_waited_for_longer_because_others_go_on() -> None:
    """Its own step's time is 600 seconds, and a reaction that begins later has 600 of its own."""
    run = EventRun(deadline_seconds=5000)
    run.react("e1.archiver")
    run.pass_time(500)
    run.react("e1.analyst", None, "AnalysisCompleted")
    run.react("e2.notifier")
    run.pass_time(99)
    assert not run.over
    run.pass_time(2)
    assert run.outcomes()["e1.notifier"] == "timed_out"


def test_the_deadline_ends_a_run_that_still_publishes() -> None:
    run = EventRun(deadline_seconds=60)
    finished(run, "e1.archiver", "e1.notifier")
    run.react("e1.analyst", "analysed", "AnalysisCompleted")
    assert run.published[1].deadline == run.published[0].deadline
    run.pass_time(61)
    assert run.outcomes()["e2.notifier"] == "timed_out"


# -- loops and limits -------------------------------------------------------------------------------------------

ECHO = {
    "ping": on("ping", "Pong", publishes=["Ping"]),
    "pong": on("pong", "Ping", publishes=["Pong"]),
}


def test_a_loop_is_cut_before_anything_is_sent_to_who_would_close_it() -> None:
    run = EventRun({"pattern": "event-driven", "event": "Ping", "request": "go"}, cards=ECHO)
    run.react("e1.pong", None, "Pong")
    run.react("e2.ping", None, "Ping")
    assert [(event.type, event.reactors) for event in run.published] == [
        ("Ping", "pong"),
        ("Pong", "ping"),
        ("Ping", ""),
    ]
    assert run.result.status is RunStatus.COMPLETED, "a circle that has come round is what was asked for"
    assert run.record["cut"] == [
        {
            "event": "e3",
            "type": "Ping",
            "agent": "pong",
            "reason": "repeat",
            "cause": "pong has already reacted to Ping on the way to e3",
        }
    ]


def test_a_run_that_a_limit_cut_short_is_not_complete() -> None:
    run = EventRun(limits={"max_hops": 0})
    run.react("e1.analyst", None, "AnalysisCompleted")
    finished(run, "e1.archiver", "e1.notifier")
    assert [event.id for event in run.published] == ["e1"]
    assert run.result.status is RunStatus.PARTIAL
    assert [cut["reason"] for cut in run.record["cut"]] == ["hops"]


def test_a_reaction_that_could_exceed_the_budget_is_not_asked_for_and_the_event_says_so() -> None:
    cards = {name: card.model_copy(update={"max_output_tokens": 1000}) for name, card in CARDS.items()}
    run = EventRun(cards=cards, budget={"tokens": 1500})
    assert run.published[0].reactors == "analyst archiver", "the archiver calls no model"
    finished(run, "e1.analyst", "e1.archiver")
    assert run.outcomes()["e1.notifier"] == "skipped"


def test_a_run_that_needed_what_it_could_not_pay_for_is_out_of_budget() -> None:
    cards = {name: card.model_copy(update={"max_output_tokens": 1000}) for name, card in CARDS.items()}
    run = EventRun(cards=cards, budget={"tokens": 1500}, require="all")
    finished(run, "e1.analyst", "e1.archiver")
    assert run.result.status is RunStatus.BUDGET_EXHAUSTED


def test_what_a_reaction_did_not_use_is_there_for_later_ones() -> None:
    cards = {name: card.model_copy(update={"max_output_tokens": 1000}) for name, card in CARDS.items()}
    run = EventRun(cards=cards, budget={"tokens": 2500})
    run.react("e1.analyst", a_result(None, events=[EventDraft(type="AnalysisCompleted")]))
    assert run.published[1].reactors == "notifier"


def test_an_event_says_that_a_budget_is_kept_so_that_a_reaction_is_not_paid_for_twice() -> None:
    cards = {name: card.model_copy(update={"max_output_tokens": 1000}) for name, card in CARDS.items()}
    kept, free = EventRun(cards=cards, budget={"tokens": 9000}), EventRun(cards=cards)
    assert [reaction_task(event, "analyst").budget.paid_attempts for event in kept.published] == [1]
    assert [reaction_task(event, "analyst").budget.paid_attempts for event in free.published] == [None]


def test_fewer_reactions_than_are_required_are_too_few_even_when_all_succeeded() -> None:
    run = finished(EventRun(require={"at_least": 4}), *FIRST)
    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert run.result.error.message == "3 of 3 reactions succeeded, 4 are required"


# -- nested -----------------------------------------------------------------------------------------------------


def test_a_nested_run_publishes_what_came_before_it_and_answers_to_its_own_instance() -> None:
    run = EventRun({"pattern": "sequential", "request": "go", "agents": ["research", {**REQUEST, "request": None}]})
    run.answer("research", "facts")
    [event] = run.published
    data: Any = event.data
    assert data["request"] == "go"
    assert [each["output"] for each in data["earlier"]] == ["facts"]
    assert (event.id, event.rootid, event.replyto) == ("event-driven.e1", "run-1", "run-1:event-driven")
    finished(run, *(f"event-driven.{name}" for name in FIRST))
    assert run.result.status is RunStatus.COMPLETED
    assert list(run.outcomes()) == ["research", *(f"event-driven.{name}" for name in FIRST)]


# -- the account, whatever happens to each agent ----------------------------------------------------------------

FATES = ("answer", "fail", "time out", "be refused", "answer late", "answer twice")


@pytest.mark.parametrize("require", ["all", {"at_least": 1}], ids=["all", "one"])
@pytest.mark.parametrize("fates", list(itertools.product(FATES, repeat=3)), ids="-".join)
def test_the_account_adds_up_whatever_becomes_of_each_agent(fates: tuple[str, ...], require: Any) -> None:
    """The analyst's event leads to a reaction that meets the third fate; the archiver meets the second."""
    cards = {name: CARDS[name] for name in ("analyst", "archiver")} | {"notifier": on("notifier", "AnalysisCompleted")}
    names = ("e1.analyst", "e1.archiver", "e2.notifier")
    refusing = "AnalysisCompleted" if fates[2] == "be refused" else ""
    run = EventRun(cards=cards, deadline_seconds=60, require=require, refusing=refusing)
    # The topic takes an event or it does not: of the agents of one event, none can be refused alone.
    fates = tuple("fail" if place < 2 and fate == "be refused" else fate for place, fate in enumerate(fates))
    for name, fate in zip(names, fates, strict=True):
        if fate in ("answer", "answer twice", "fail") and any(name.startswith(each.id) for each in run.published):
            for _ in range(2 if fate == "answer twice" else 1):
                wanted = ["AnalysisCompleted"] if name == "e1.analyst" else []
                run.react(name, a_failure() if fate == "fail" else "done", *wanted)
    run.pass_time(61)
    for name, fate in zip(names, fates, strict=True):
        if fate == "answer late":
            run.react(name)
    good = {"answer", "answer twice"}
    asked = names if fates[0] in good else names[:2]
    expected = {
        name: "answered" if fate in good else "timed_out" if fate in ("time out", "answer late") else "failed"
        for name, fate in zip(names, fates, strict=True)
        if name in asked
    }
    assert run.outcomes() == expected
    answered = list(expected.values()).count("answered")
    complete = answered == len(asked)
    enough = complete or (require != "all" and answered >= 1)
    assert run.result.status is (RunStatus.COMPLETED if complete else RunStatus.PARTIAL if enough else RunStatus.FAILED)


# -- at the door --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"event": ""},
        {"event": "with space"},
        {"event": None},
        {"subject": ""},
        {"source": "x" * 201},
        {"limits": {"max_hops": 33}},
        {"limits": {"max_events": 0}},
        {"limits": {"colour": "blue"}},
        {"require": {"at_least": 0}},
        {"require": "any"},
        {"agents": ["analyst"]},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EventDrivenRequest.model_validate({**REQUEST, **changes})


def test_an_event_type_that_nobody_subscribes_to_is_refused_with_the_field_named() -> None:
    with pytest.raises(
        InvalidRequest, match="no agent subscribes to Ghost; there are subscribers to Analysis"
    ) as error:
        check_request(EventDrivenRequest.model_validate({**REQUEST, "event": "Ghost"}), CARDS)
    assert error.value.field == "event"


def test_a_nested_event_type_that_nobody_subscribes_to_is_named_where_it_stands() -> None:
    request = SequentialRequest.model_validate({"request": "go", "agents": [{**REQUEST, "event": "Ghost"}]})
    with pytest.raises(InvalidRequest) as error:
        check_request(request, CARDS)
    assert error.value.field == "agents.0.event"


def test_ids_that_would_be_too_long_are_refused_before_anything_is_run() -> None:
    long = {**REQUEST, "name": "n" * 40, "limits": {"max_events": 500}}
    cards = {**CARDS, "a" * 40: on("a" * 40, "DataReceived")}
    with pytest.raises(InvalidRequest, match="over 64 characters"):
        check_request(SequentialRequest.model_validate({"request": "go", "agents": [long]}), cards)
