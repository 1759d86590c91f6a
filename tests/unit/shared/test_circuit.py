"""A circuit opens after failures in a row, lets one probe through after its pause, and closes when that succeeds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.circuit import (
    DEFAULT_CIRCUIT,
    Admitted,
    Circuit,
    CircuitState,
    Refused,
    admit,
    after_failure,
    after_success,
    force,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
CLOSED = Circuit(name="writer")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def failed(times: int, circuit: Circuit = CLOSED, *, begin: float = 0, every: float = 1) -> Circuit:
    for number in range(times):
        circuit = after_failure(circuit, at(begin + number * every), "broken") or circuit
    return circuit


def probing(now: datetime) -> Circuit:
    answer = admit(failed(5), now)
    assert isinstance(answer, Admitted)
    assert answer.circuit is not None
    return answer.circuit


def test_four_failures_in_a_row_leave_it_closed_and_the_fifth_opens_it_for_its_pause() -> None:
    assert failed(4).state is CircuitState.CLOSED
    opened = failed(5)
    assert (opened.state, opened.until, opened.cause) == (CircuitState.OPEN, at(64), "broken")


def test_a_success_in_between_begins_the_count_anew() -> None:
    recovered = after_success(failed(4), at(5))
    assert recovered is not None
    assert failed(4, recovered, begin=6).state is CircuitState.CLOSED


def test_failures_further_apart_than_the_window_never_open_it() -> None:
    assert failed(50, every=15.1).state is CircuitState.CLOSED


def test_while_it_is_open_calls_are_refused_with_the_time_to_try_again() -> None:
    assert admit(failed(5), at(63.9)) == Refused(at(64))


def test_after_the_pause_one_probe_is_let_through_and_the_others_wait_for_it() -> None:
    answer = admit(failed(5), at(64))
    assert isinstance(answer, Admitted)
    assert answer.is_probe
    assert answer.circuit is not None
    assert admit(answer.circuit, at(64)) == Refused(at(64) + DEFAULT_CIRCUIT.probe_time)


def test_a_probe_that_succeeds_closes_it() -> None:
    closed = after_success(probing(at(64)), at(65))
    assert closed is not None
    assert (closed.state, closed.failures, closed.until, closed.cause) == (CircuitState.CLOSED, (), None, None)
    assert admit(closed, at(65)) == Admitted()


def test_a_probe_that_fails_opens_it_for_another_pause() -> None:
    opened = after_failure(probing(at(64)), at(70), "still broken")
    assert opened is not None
    assert (opened.state, opened.until, opened.cause) == (CircuitState.OPEN, at(130), "still broken")


def test_a_probe_that_never_reports_is_given_up_and_the_next_one_let_through() -> None:
    lost = probing(at(64))
    answer = admit(lost, at(64) + DEFAULT_CIRCUIT.probe_time)
    assert isinstance(answer, Admitted)
    assert answer.is_probe


def test_a_call_from_before_it_opened_that_comes_back_late_changes_nothing() -> None:
    opened = failed(5)
    assert after_success(opened, at(10)) is None
    assert after_failure(opened, at(10), "late") is None


def test_a_success_of_a_healthy_agent_writes_nothing() -> None:
    assert after_success(CLOSED, at(0)) is None


@pytest.mark.parametrize("state", [CircuitState.OPEN, CircuitState.CLOSED])
def test_what_a_person_holds_stays_until_a_person_lets_go(state: CircuitState) -> None:
    held = force(CLOSED, state, at(0))
    assert failed(20, held).state is state
    assert after_success(held, at(1)) is None
    assert isinstance(admit(held, at(10_000)), Admitted if state is CircuitState.CLOSED else Refused)
    assert force(held, None, at(2)).forced is False
    assert admit(force(held, None, at(2)), at(2)) == Admitted()


def test_nobody_can_hold_it_half_open() -> None:
    with pytest.raises(ValueError, match="open or closed"):
        force(CLOSED, CircuitState.HALF_OPEN, at(0))


def test_a_long_error_is_kept_as_its_beginning() -> None:
    circuit = CLOSED
    for second in range(5):
        circuit = after_failure(circuit, at(second), "x" * 10_000) or circuit
    assert circuit.cause == "x" * 500
    assert Circuit.model_validate(circuit.model_dump()) == circuit


class ManyInstances(RuleBasedStateMachine):
    """Instances that read, decide and write as they please; a write counts only if nobody wrote since it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, self.version, self.now = CLOSED, 0, START
        self.seen: list[tuple[Circuit, int]] = []
        self.probes_on_their_way = 0

    def write(self, circuit: Circuit | None, read: int) -> bool:
        if circuit is None or read != self.version:
            return circuit is None
        self.kept, self.version = circuit, self.version + 1
        return True

    @rule(seconds=st.floats(0, 90))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if self.kept.state is CircuitState.HALF_OPEN and self.kept.until is not None and self.now >= self.kept.until:
            self.probes_on_their_way = 0

    @rule()
    def read(self) -> None:
        self.seen.append((self.kept, self.version))

    @rule()
    def dispatch(self) -> None:
        circuit, read = self.seen.pop(0) if self.seen else (self.kept, self.version)
        answer = admit(circuit, self.now)
        if isinstance(answer, Admitted) and answer.is_probe and self.write(answer.circuit, read):
            self.probes_on_their_way += 1

    @rule(succeeded=st.booleans())
    def report(self, *, succeeded: bool) -> None:
        was = self.kept.state
        after = after_success(self.kept, self.now) if succeeded else after_failure(self.kept, self.now, "broken")
        self.write(after, self.version)
        if was is CircuitState.HALF_OPEN and self.kept.state is not CircuitState.HALF_OPEN:
            self.probes_on_their_way = 0

    @invariant()
    def at_most_one_probe_is_on_its_way(self) -> None:
        assert self.probes_on_their_way <= 1

    @invariant()
    def an_open_circuit_always_says_when_it_may_be_tried(self) -> None:
        if self.kept.state is not CircuitState.CLOSED:
            assert self.kept.until is not None


TestManyInstances = ManyInstances.TestCase
TestManyInstances.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
