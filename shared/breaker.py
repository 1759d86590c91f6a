"""The circuit breaker: the circuits of agents and model endpoints, shared by every instance through the state store.

Wiring: whoever is about to call asks `admit`, whoever has called reports `succeeded` or `failed`; `shared.circuit`
decides, and a decision that changes a circuit is written only if nobody wrote since it was read, or else made again.
All circuits are read together and remembered for a moment, so that a healthy agent costs no write and hardly a read.
A store that does not answer lets calls through: what protects agents must not stop them.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.circuit import (
    DEFAULT_CIRCUIT,
    Admitted,
    Circuit,
    CircuitPolicy,
    CircuitState,
    Refused,
    admit,
    after_failure,
    after_success,
    force,
)
from shared.clock import Clock
from shared.contracts import ErrorInfo
from shared.errors import AgentOutputInvalid, AgentTimedOut, ModelAnswerInvalid, ModelUnavailable, MusterError
from shared.state.circuits import CircuitStore
from shared.telemetry.logs import Quoted
from shared.telemetry.measures import circuit_measures
from shared.telemetry.off import OFF
from shared.telemetry.telemetry import Telemetry

REMEMBERED_FOR = timedelta(seconds=2)
"""How old what a process knows of the circuits may be when it lets a call through or refuses one."""
_ROUNDS = 10

log = logging.getLogger("muster.circuits")


def agent_circuit(agent: str) -> str:
    """The name of an agent's circuit."""
    return f"agent.{agent}"


def model_circuit(host: str) -> str:
    """The name of the circuit of a model endpoint, by its host."""
    return f"model.{host}"


def blames_agent(error: BaseException) -> bool:
    """Whether a failed attempt says something of the agent itself.

    A model that is away does: the agent cannot work, whoever is to blame. An input that is none, a model's refusal of
    what was asked, a rate limit, which says itself how long to wait, and a store or bus that does not answer do not.
    What is not of the app's own errors is a fault in the agent.
    """
    if isinstance(error, MusterError):
        return isinstance(error, (AgentTimedOut, ModelUnavailable, ModelAnswerInvalid, AgentOutputInvalid))
    return isinstance(error, Exception)


def refusal(name: str, refused: Refused) -> ErrorInfo:
    """Why a call was not made, as data: it says when to try again. Another attempt at once would be refused, too."""
    if refused.retry_at is None:
        return ErrorInfo(type="CircuitIsOpen", message=f"the circuit of {name} is held open by a person")
    when = refused.retry_at.isoformat(timespec="seconds")
    return ErrorInfo(type="CircuitIsOpen", message=f"the circuit of {name} is open: try again at {when}")


class CircuitBreaker:
    """Every circuit of the app, over one store, which is `store`."""

    def __init__(
        self,
        store: CircuitStore,
        clock: Clock,
        policy: CircuitPolicy = DEFAULT_CIRCUIT,
        *,
        telemetry: Telemetry = OFF,
    ) -> None:
        self.store = store
        self._clock = clock
        self._policy = policy
        self._telemetry = telemetry
        self._known: dict[str, Circuit] = {}
        self._read_at: datetime | None = None
        self._reading = asyncio.Lock()

    async def admit(self, name: str) -> Admitted | Refused:
        """Whether a call may be made now. Of all who ask of an open circuit after its pause, one is let through."""
        try:
            answer = admit(await self._remembered(name), self._clock.now(), self._policy)
            if not isinstance(answer, Admitted) or answer.circuit is None:
                return answer
            return await self._take_probe(name)
        except MusterError as error:
            log.warning("calls of %s are let through: its circuit cannot be read: %s", name, error)
            return Admitted()

    async def succeeded(self, name: str) -> None:
        """A call was answered. Never raises.

        A circuit that is remembered as closed and without failures is not looked at: it cannot have opened, and had
        its pause, since.
        """
        try:
            known = await self._remembered(name)
            if known.state is CircuitState.CLOSED and not known.failures:
                return
            await self._change(name, lambda circuit: after_success(circuit, self._clock.now()))
        except MusterError as error:
            log.warning("a success of %s is not counted: %s", name, error)

    async def failed(self, name: str, cause: str) -> None:
        """A call failed in a way that says something of who was called. Never raises."""

        def decide(circuit: Circuit) -> Circuit | None:
            return after_failure(circuit, self._clock.now(), cause, self._policy)

        try:
            changed = await self._change(name, decide)
        except MusterError as error:
            log.warning("a failure of %s is not counted: %s", name, error)
            return
        if changed is not None and changed.state is CircuitState.OPEN:
            log.error("the circuit of %s is open until %s: %s", name, changed.until, Quoted(cause))

    async def force(self, name: str, state: CircuitState | None) -> Circuit:
        """Hold a circuit open or closed, or (None) let it decide for itself again; other processes see it in 2 s.

        Raises what `CircuitStore` raises, and `ValueError` for half open.
        """
        changed = await self._change(name, lambda circuit: force(circuit, state, self._clock.now()))
        held = changed or Circuit(name=name)
        log.warning("the circuit of %s is set by a person to %s", name, state or "auto")
        return held

    async def read(self, name: str) -> Circuit:
        """One circuit as it is kept now. Raises what `CircuitStore` raises."""
        stored = await self.store.read(name)
        return stored.circuit if stored else Circuit(name=name)

    async def read_all(self) -> tuple[Circuit, ...]:
        """Every circuit that ever changed, by name, as they are kept now. Raises what `CircuitStore` raises."""
        return tuple(stored.circuit for stored in await self.store.read_all())

    async def close(self) -> None:
        """Let go of the store's connections."""
        await self.store.close()

    async def _take_probe(self, name: str) -> Admitted | Refused:
        """The write decides who it is: the service lets one of all who try at once succeed."""
        for _ in range(_ROUNDS):
            stored = await self.store.read(name)
            circuit = stored.circuit if stored else Circuit(name=name)
            answer = admit(circuit, self._clock.now(), self._policy)
            if not isinstance(answer, Admitted) or answer.circuit is None:
                self._known[name] = circuit
                return answer
            if await self.store.write(answer.circuit, stored.version if stored else None):
                self._known[name] = answer.circuit
                self._telemetry.record(circuit_measures([answer.circuit]))
                log.warning("the circuit of %s lets one call through as a probe", name)
                return answer
        return Refused(self._clock.now() + self._policy.pause)

    async def _change(self, name: str, decide: Callable[[Circuit], Circuit | None]) -> Circuit | None:
        """Write what `decide` makes of the circuit as it is kept; None when that is nothing."""
        for _ in range(_ROUNDS):
            stored = await self.store.read(name)
            changed = decide(stored.circuit if stored else Circuit(name=name))
            if changed is None:
                self._known[name] = stored.circuit if stored else Circuit(name=name)
                return None
            if await self.store.write(changed, stored.version if stored else None):
                self._known[name] = changed
                self._telemetry.record(circuit_measures([changed]))
                return changed
        log.warning("the circuit of %s changed under every try to change it", name)
        return None

    async def _remembered(self, name: str) -> Circuit:
        async with self._reading:
            now = self._clock.now()
            if self._read_at is None or not self._read_at <= now < self._read_at + REMEMBERED_FOR:
                self._known = {stored.circuit.name: stored.circuit for stored in await self.store.read_all()}
                self._read_at = now
                self._telemetry.record(circuit_measures(self._known.values()))
        return self._known.get(name) or Circuit(name=name)
