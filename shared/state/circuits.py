"""Where circuits are kept: one document each, and a write counts only if nobody wrote since the document was read."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import ValidationError

from shared.circuit import Circuit
from shared.errors import StateCorrupted


@dataclass(frozen=True, slots=True)
class StoredCircuit:
    """A circuit as it was read. `version` names this state of it to a later write."""

    circuit: Circuit
    version: str


class CircuitStore(Protocol):
    """Keeps circuits durably. Every method may raise `StoreUnavailable` (retryable) and `StateCorrupted` (terminal)."""

    async def read(self, name: str) -> StoredCircuit | None:
        """One circuit; None for one that was never written."""
        ...

    async def read_all(self) -> tuple[StoredCircuit, ...]:
        """Every circuit that was ever written, by name, in one read."""
        ...

    async def write(self, circuit: Circuit, version: str | None) -> bool:
        """Write a circuit that was read in `version`, or (None) was not there. False when somebody was faster."""
        ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...


def circuit_of(body: str) -> Circuit:
    """A stored text as a circuit. Raises `StateCorrupted`."""
    try:
        return Circuit.model_validate_json(body)
    except ValidationError as error:
        raise StateCorrupted(f"a circuit cannot be read: {error.errors(include_url=False)[0]['msg']}") from None
