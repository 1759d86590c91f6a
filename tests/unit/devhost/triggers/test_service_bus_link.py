import logging
from datetime import timedelta

import pytest

from devhost.triggers.service_bus_link import LinkState, NamespaceState
from devhost.triggers.service_bus_receiver import EntityUnavailable, ReceiverError

LOST = ReceiverError("connection refused")
MISSING = EntityUnavailable("no such queue")


@pytest.fixture
def namespace(caplog: pytest.LogCaptureFixture) -> NamespaceState:
    caplog.set_level(logging.INFO)
    return NamespaceState("localhost:5672")


@pytest.fixture
def link(namespace: NamespaceState) -> LinkState:
    return LinkState("f", "q", namespace)


def test_a_single_failure_is_tried_again_at_once_and_in_silence(
    link: LinkState, caplog: pytest.LogCaptureFixture
) -> None:
    assert link.down(LOST) == timedelta(0)
    link.up()
    assert caplog.messages == []


def test_an_unreachable_namespace_is_one_line_and_its_return_another_however_many_functions_use_it(
    namespace: NamespaceState, caplog: pytest.LogCaptureFixture
) -> None:
    links = [LinkState(f"f{n}", "q", namespace) for n in range(10)]
    for _ in range(5):
        for link in links:
            link.down(LOST)
    for link in links:
        link.up()
        link.up()
    assert caplog.messages == [
        "not receiving from the namespace at localhost:5672: connection refused (trying again)",
        "receiving again from the namespace at localhost:5672",
    ]


def test_each_absence_of_a_namespace_is_reported_anew(link: LinkState, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        link.down(LOST)
        link.down(LOST)
        link.up()
    assert len(caplog.messages) == 4


def test_a_missing_entity_is_reported_at_once_with_its_function_and_once_only(
    link: LinkState, caplog: pytest.LogCaptureFixture
) -> None:
    assert link.down(MISSING) > timedelta(0)
    link.down(MISSING)
    link.up()
    assert caplog.messages == [
        "not receiving: f from q at localhost:5672: no such queue (trying again)",
        "receiving now: f from q at localhost:5672",
    ]


def test_a_namespace_that_answers_for_a_missing_entity_is_reachable(
    link: LinkState, caplog: pytest.LogCaptureFixture
) -> None:
    link.down(LOST)
    link.down(LOST)
    link.down(MISSING)
    assert caplog.messages[1] == "receiving again from the namespace at localhost:5672"


def test_pauses_grow_to_a_limit(link: LinkState) -> None:
    pauses = [link.down(LOST).total_seconds() for _ in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[1] < 2
    assert pauses[-1] == 15
