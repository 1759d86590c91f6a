"""The table of a message's life."""

import itertools

import pytest

from devhost.broker.lifecycle import RESTORED_AS, SHOWN_AS, TRANSITIONS, Event, Status, after


def test_every_status_can_be_reached_and_left() -> None:
    reached, left = set(TRANSITIONS.values()), {status for _, status in TRANSITIONS}
    assert reached == left == set(Status)


def test_every_event_happens_somewhere() -> None:
    assert {event for event, _ in TRANSITIONS} == set(Event)


def test_a_deferred_message_never_waits_again() -> None:
    reachable, open_ends = set(), [Status.DEFERRED]
    while open_ends:
        status = open_ends.pop()
        for (_, old), new in TRANSITIONS.items():
            if old is status and new is not Status.ABSENT and new not in reachable:
                reachable.add(new)
                open_ends.append(new)
    assert reachable == {Status.DEFERRED, Status.DEFERRED_LOCKED}


@pytest.mark.parametrize(
    ("event", "status"), [pair for pair in itertools.product(Event, Status) if pair not in TRANSITIONS]
)
def test_what_is_not_in_the_table_cannot_happen(event: Event, status: Status) -> None:
    with pytest.raises(ValueError, match="cannot happen"):
        after(event, status)


def test_a_restart_changes_only_what_was_locked() -> None:
    for status, shown in SHOWN_AS.items():
        restored = RESTORED_AS[shown]
        unlocked = {Status.LOCKED: Status.WAITING, Status.DEFERRED_LOCKED: Status.DEFERRED}.get(status, status)
        assert restored is unlocked
