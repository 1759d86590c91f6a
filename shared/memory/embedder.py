"""The seam for search by vectors: what an embedding model has to offer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.contracts import Usage


@dataclass(frozen=True, slots=True)
class Embedded:
    """One vector for each text, in their order, and what that used."""

    vectors: Sequence[Sequence[float]]
    usage: Usage


class Embedder(Protocol):
    """Turns texts into vectors that lie close together when the texts mean something similar."""

    @property
    def model(self) -> str:
        """The model's name; vectors of different models are never compared."""
        ...

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """The texts as vectors, all of one length. Raises what `ModelClient.complete` raises."""
        ...
