"""Remembers what a package says of itself, for the SDK asks for its own version at each call.

Each call of a function with a durable client makes one, and each client asks `importlib.metadata` for the version of
`azure-functions-durable`: a look through the path, and a file that is read and parsed, a third of a millisecond on the
event loop that everything shares. The answer does not change while the process lives.
"""

import sys
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import Distribution, DistributionFinder, PackageMetadata, PackageNotFoundError
from typing import Any, Final, override

ASKED_OFTEN: Final = "azure-functions-durable"
_ANY: Final = DistributionFinder.Context()


class _Remembered(Distribution):
    """A distribution whose metadata is read once."""

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution

    @override
    def read_text(self, filename: str) -> str | None:
        return self._distribution.read_text(filename)

    @override
    def locate_file(self, path: Any) -> Any:
        return self._distribution.locate_file(path)

    @cached_property
    def metadata(self) -> PackageMetadata:
        """What `METADATA` says."""
        return self._distribution.metadata


class _Finder(DistributionFinder):
    """Finds the one package first, and leaves every other, and every module, to the finders behind it."""

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = _Remembered(distribution)

    @override
    def find_distributions(self, context: DistributionFinder.Context = _ANY) -> Iterable[Distribution]:
        return [self._distribution] if context.name == ASKED_OFTEN else []

    def find_spec(self, *_: Any) -> None:
        """No module is found here."""


def remember_versions() -> None:
    """Answer from memory from now on; once in a process, and nothing where the package is not installed."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    try:
        found = Distribution.from_name(ASKED_OFTEN)
    except PackageNotFoundError:
        return
    sys.meta_path.insert(0, _Finder(found))
