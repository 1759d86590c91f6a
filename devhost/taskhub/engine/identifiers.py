"""Ids from one source, so that a seeded one gives the same ids in the same order."""

from random import Random


class Ids:
    """Makes ids of 32 hexadecimal digits, as a UUID has."""

    def __init__(self, seed: int | None = None) -> None:
        """Without a `seed` the ids differ from run to run."""
        self._seed = seed
        self._source = Random(seed)  # noqa: S311 - ids are told apart, not kept secret

    def begin_life(self, number: int) -> None:
        """The task hub's file was opened for the `number`-th time: go on with ids that no earlier life gave out."""
        if self._seed is not None:
            self._source = Random(f"{self._seed}/{number}")  # noqa: S311 - as above

    def new(self) -> str:
        """An id that was not given out before."""
        return f"{self._source.getrandbits(128):032x}"
