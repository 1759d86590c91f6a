import logging
from datetime import timedelta

import pytest

from devhost.triggers.service_bus_link import LinkState
from devhost.triggers.service_bus_receiver import EntityUnavailable, ReceiverError

LOST = ReceiverError("connection refused")
MISSING = EntityUnavailable("no such queue")


@pytest.fixture
def state(caplog: pytest.LogCaptureFixture) -> LinkState:
    caplog.set_level(logging.INFO)
    return LinkState("f from q at localhost:5672")


def test_a_single_failure_is_tried_again_at_once_and_in_silence(
    state: LinkState, caplog: pytest.LogCaptureFixture
) -> None:
    assert state.down(LOST) == timedelta(0)
    state.up()
    assert caplog.messages == []


def test_a_lasting_failure_is_one_line_and_its_end_another(state: LinkState, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(50):
        state.down(LOST)
    state.up()
    state.up()
    assert caplog.messages == [
        "not receiving: f from q at localhost:5672: connection refused (trying again)",
        "receiving again: f from q at localhost:5672",
    ]


def test_a_different_kind_of_failure_is_a_change_of_state(state: LinkState, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        state.down(LOST)
    for _ in range(3):
        state.down(MISSING)
    assert len(caplog.messages) == 2


def test_a_missing_entity_is_reported_at_once(state: LinkState, caplog: pytest.LogCaptureFixture) -> None:
    assert state.down(MISSING) > timedelta(0)
    assert "no such queue" in caplog.text


def test_pauses_grow_to_a_limit(state: LinkState) -> None:
    pauses = [state.down(LOST).total_seconds() for _ in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[1] < 2
    assert pauses[-1] == 15
