"""The circuit of an agent or a model endpoint: whether it is asked at all after it failed several times in a row.

Source: the circuit breaker of M. Nygard, "Release It!" (2nd ed., 2018), chapter 5. The state machine is `TRANSITIONS`;
the functions are decisions over one `Circuit` and an instant. Whoever keeps circuits writes the decided one only if
nobody wrote since it was read, and decides again otherwise: so that of any number of instances exactly one lets the
probe through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, Field

from shared.contracts import Contract
from shared.status import check_transition


class CircuitState(StrEnum):
    """Whether calls are let through."""

    CLOSED = "closed"  #: all are
    OPEN = "open"  #: none is, until the pause is over
    HALF_OPEN = "half_open"  #: one is on its way, and the others wait for what becomes of it


TRANSITIONS: Mapping[CircuitState, frozenset[CircuitState]] = {
    CircuitState.CLOSED: frozenset({CircuitState.CLOSED, CircuitState.OPEN}),
    CircuitState.OPEN: frozenset({CircuitState.HALF_OPEN, CircuitState.CLOSED, CircuitState.OPEN}),
    # A probe that never reported is given up, and the next one let through.
    CircuitState.HALF_OPEN: frozenset({CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN}),
}


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """`failures` in a row within `window` open it; `pause` later one probe is let through, which has `probe_time`."""

    failures: int = 5
    window: timedelta = timedelta(minutes=1)
    pause: timedelta = timedelta(seconds=60)
    probe_time: timedelta = timedelta(minutes=5)


DEFAULT_CIRCUIT = CircuitPolicy()


class Circuit(Contract):
    """What is kept of one circuit.

    `failures` are the instants of the failures since the last success, oldest first, no more than open it. `until` is
    when the pause, or the probe's time, is over. `forced` by a person stays as it is until a person takes it back.
    """

    name: str
    state: CircuitState = CircuitState.CLOSED
    failures: tuple[AwareDatetime, ...] = ()
    until: AwareDatetime | None = None
    forced: bool = False
    changed_at: AwareDatetime | None = Field(default=None, description="When its state last changed.")
    cause: str | None = Field(default=None, max_length=500, description="The failure that opened it.")


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call may be made; `circuit`, when it is not None, has to be written first, and written by nobody else."""

    circuit: Circuit | None = None
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The call is not made. `retry_at` is when it is worth asking again; None when a person holds the circuit open."""

    retry_at: datetime | None


def admit(circuit: Circuit, now: datetime, policy: CircuitPolicy = DEFAULT_CIRCUIT) -> Admitted | Refused:
    """Whether a call may be made now."""
    if circuit.state is CircuitState.CLOSED:
        return Admitted()
    if circuit.forced:
        return Refused(None)
    if circuit.until is not None and now < circuit.until:
        return Refused(circuit.until)
    probing = _moved(circuit, CircuitState.HALF_OPEN, now, until=now + policy.probe_time)
    return Admitted(probing, is_probe=True)


def after_success(circuit: Circuit, now: datetime) -> Circuit | None:
    """The circuit after a call succeeded; None when there is nothing to write, as after most calls."""
    if circuit.forced or (circuit.state is CircuitState.CLOSED and not circuit.failures):
        return None
    if circuit.state is CircuitState.OPEN:
        # A call from before it opened came back late; the probe is what tells whether things are well again.
        return None
    return _moved(circuit, CircuitState.CLOSED, now, failures=(), until=None, cause=None)


def after_failure(
    circuit: Circuit, now: datetime, cause: str, policy: CircuitPolicy = DEFAULT_CIRCUIT
) -> Circuit | None:
    """The circuit after a call failed; None when there is nothing to write."""
    if circuit.forced or circuit.state is CircuitState.OPEN:
        return None
    recent = (*(at for at in circuit.failures if now - at < policy.window), now)[-policy.failures :]
    if circuit.state is CircuitState.HALF_OPEN or len(recent) >= policy.failures:
        return _moved(circuit, CircuitState.OPEN, now, failures=recent, until=now + policy.pause, cause=cause[:500])
    return circuit.model_copy(update={"failures": recent})


def force(circuit: Circuit, state: CircuitState | None, now: datetime) -> Circuit:
    """The circuit held open or closed by a person; None lets it decide for itself again, beginning closed.

    Raises `ValueError` for half open, which is no state to be held in.
    """
    if state is CircuitState.HALF_OPEN:
        raise ValueError("a circuit can be held open or closed")
    held = state or CircuitState.CLOSED
    cause = "held open by a person" if held is CircuitState.OPEN else None
    return _moved(circuit, held, now, failures=(), until=None, cause=cause).model_copy(
        update={"forced": state is not None}
    )


def _moved(circuit: Circuit, to: CircuitState, now: datetime, **changes: object) -> Circuit:
    check_transition(TRANSITIONS, circuit.state, to)
    changed_at = circuit.changed_at if to is circuit.state else now
    return circuit.model_copy(update={"state": to, "changed_at": changed_at, **changes})
