"""What the log says of links to a namespace: one line when it is lost, one when it is back, and how long to wait.

A namespace that cannot be reached is one thing, however many functions receive from it; an entity that is missing or
closed to us is a thing of one function.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from devhost.triggers.service_bus_receiver import EntityUnavailable, ReceiverError

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = timedelta(seconds=0.8)
_LONGEST_PAUSE: Final = timedelta(seconds=15)


class NamespaceState:
    """Whether the namespace at `address` can be reached, as the links to it find."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._failing: set[LinkState] = set()

    def down(self, link: "LinkState", error: ReceiverError) -> None:
        """`link` does not reach the namespace."""
        if not self._failing:
            _log.warning("not receiving from the namespace at %s: %s (trying again)", self.address, error)
        self._failing.add(link)

    def up(self, link: "LinkState") -> None:
        """`link` reaches the namespace."""
        if link in self._failing:
            self._failing.discard(link)
            if not self._failing:
                _log.info("receiving again from the namespace at %s", self.address)


class LinkState:
    """The state of one function's link to `entity` of a namespace."""

    def __init__(self, function: str, entity: str, namespace: NamespaceState) -> None:
        self._what = f"{function} from {entity} at {namespace.address}"
        self._namespace = namespace
        self._failures = 0
        self._unavailable = False
        self._resting = 0

    @property
    def resting(self) -> bool:
        """Whether the link failed and waits for its next try."""
        return self._resting > 0

    @contextmanager
    def rest(self) -> Iterator[None]:
        """While the link waits for its next try."""
        self._resting += 1
        try:
            yield
        finally:
            self._resting -= 1

    def up(self) -> None:
        """The link works."""
        self._namespace.up(self)
        if self._unavailable:
            _log.info("receiving now: %s", self._what)
        self._failures = 0
        self._unavailable = False

    def down(self, error: ReceiverError) -> timedelta:
        """The link failed with `error`; how long to wait before the next try.

        The first failure of a connection is tried again at once and in silence: namespaces close idle links as a
        matter of course. A missing entity is never silent.
        """
        self._failures += 1
        if isinstance(error, EntityUnavailable):
            self._namespace.up(self)
            if not self._unavailable:
                _log.warning("not receiving: %s: %s (trying again)", self._what, error)
            self._unavailable = True
        elif self._failures == 1:
            return timedelta(0)
        else:
            self._namespace.down(self, error)
        return min(_FIRST_PAUSE * (1 << min(self._failures, 10)) / 4, _LONGEST_PAUSE)
