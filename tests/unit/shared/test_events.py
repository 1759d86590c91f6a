"""Events at the doors: what is taken, what is refused and by which attribute, and the task that a reaction is."""

import json
from typing import Any

import pytest

from shared.contracts import AgentInput, ArtifactRef
from shared.errors import InvalidMessage
from shared.events import CloudEvent, Event, OutsideEvent, parse_event, reaction_task
from tests.support.documents import an_event

OUTSIDE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "/mycontext/4",
    "type": "com.example.someevent",
}


def refused(contract: type[CloudEvent], value: Any) -> str:
    with pytest.raises(InvalidMessage) as error:
        parse_event(contract, json.dumps(value).encode())
    return str(error.value)


# -- from outside -----------------------------------------------------------------------------------------------


def test_the_example_of_the_specification_is_taken_with_its_extensions() -> None:
    """CloudEvents 1.0.2, JSON event format, section 3.2."""
    event = parse_event(
        OutsideEvent,
        json.dumps(
            {
                **OUTSIDE,
                "time": "2018-04-05T17:31:00Z",
                "comexampleextension1": "value",
                "comexampleothervalue": 5,
                "datacontenttype": "application/json",
                "data": {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True},
            }
        ).encode(),
    )
    assert (event.id, event.source, event.type) == ("A234-1234-1234", "/mycontext/4", "com.example.someevent")
    assert event.data == {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True}
    assert event.extensions == {"comexampleextension1": "value", "comexampleothervalue": 5}


@pytest.mark.parametrize("attribute", ["specversion", "id", "source", "type"])
def test_an_event_without_a_required_attribute_names_it(attribute: str) -> None:
    assert f"is no event: {attribute}:" in refused(
        OutsideEvent, {name: value for name, value in OUTSIDE.items() if name != attribute}
    )


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", 1.0),
        ("id", ""),
        ("id", "x" * 201),
        ("id", 7),
        ("source", ""),
        ("type", ""),
        ("type", "with space"),
        ("type", "1st"),
        ("type", "x" * 101),
        ("subject", ""),
        ("time", "yesterday"),
        ("time", "2018-04-05T17:31:00"),
        ("data_base64", "AAAA"),
        ("Extension", "capital"),
        ("with-dash", "x"),
        ("x" * 21, "long"),
        ("ext", {"no": "simple value"}),
        ("ext", None),
        ("rootid", "run-1"),
        ("hop", 0),
        ("causationid", "e1"),
        ("replyto", "run-1"),
    ],
)
def test_an_attribute_that_breaks_the_rules_is_named(attribute: str, value: Any) -> None:
    assert attribute in refused(OutsideEvent, {**OUTSIDE, attribute: value})


def test_numbers_that_are_no_json_are_refused_in_the_data() -> None:
    with pytest.raises(InvalidMessage, match="data"):
        parse_event(OutsideEvent, json.dumps({**OUTSIDE, "data": [float("nan")]}).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 5000])
@pytest.mark.parametrize("contract", [OutsideEvent, Event])
def test_a_body_that_is_no_json_object_is_no_event(contract: type[CloudEvent], body: bytes) -> None:
    with pytest.raises(InvalidMessage, match="is no event"):
        parse_event(contract, body)


# -- of a run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("id", "with space"),
        ("id", "x" * 65),
        ("reactors", "x" * 20_001),
        ("rootid", None),
        ("rootid", "x" * 101),
        ("hop", -1),
        ("hop", 33),
        ("replyto", ""),
        ("deadline", "soon"),
        ("maxtokens", 0),
        ("inputsize", -1),
        ("colour", "blue"),
        ("causationid", "e0"),
    ],
)
def test_an_event_of_a_run_with_a_bad_attribute_names_it(attribute: str, value: Any) -> None:
    document = json.loads(an_event().model_dump_json(exclude_none=True))
    assert attribute in refused(Event, {**document, attribute: value})


def test_every_event_but_the_first_has_a_cause() -> None:
    first = json.loads(an_event().model_dump_json(exclude_none=True))
    assert "causationid" in refused(Event, {**first, "hop": 1})
    assert an_event(hop=1, causationid="e0").causationid == "e0"


def test_a_reaction_is_a_step_of_the_run_that_answers_whoever_published_the_event() -> None:
    task = reaction_task(an_event(replyto="run-1.inner", maxtokens=7), "analyst")
    assert (task.task_id, task.step_id, task.agent) == ("run-1", "e1.analyst", "analyst")
    assert task.reply_to is not None
    assert (task.reply_to.instance_id, task.reply_to.event) == ("run-1.inner", "agent-reply-e1.analyst")
    assert task.budget.max_output_tokens == 7
    assert task == reaction_task(an_event(replyto="run-1.inner", maxtokens=7), "analyst")


def test_an_agent_is_shown_the_event_and_nothing_of_the_machinery() -> None:
    task = reaction_task(an_event(origin="/sensors/7", subject="hall"), "analyst")
    assert isinstance(task.input, AgentInput)
    assert task.input.request == {
        "event": {"type": "DataReceived", "source": "/sensors/7", "subject": "hall", "data": {"rows": [1, 2]}}
    }


def test_an_input_too_large_for_a_message_is_fetched_by_its_reference() -> None:
    task = reaction_task(an_event(data=None, inputref="sha256:" + "a" * 64, inputsize=9), "analyst")
    assert task.input == ArtifactRef(address="sha256:" + "a" * 64, size=9, content_type="application/json")


def test_only_the_agents_named_are_asked() -> None:
    event = an_event(reactors="analyst tester")
    assert [event.asks(name) for name in ("analyst", "tester", "test", "analyst tester", "")] == [True, True] + [
        False
    ] * 3
    assert not an_event(reactors="").asks("analyst")
