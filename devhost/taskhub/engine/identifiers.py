"""Ids from one source, so that a seeded one gives the same ids in the same order."""

from random import Random


class Ids:
    """Makes ids of 32 hexadecimal digits, as a UUID has."""

    def __init__(self, source: Random | None = None) -> None:
        self._source = source or Random()  # noqa: S311 - ids are told apart, not kept secret

    def new(self) -> str:
        """An id that was not given out before."""
        return f"{self._source.getrandbits(128):032x}"
