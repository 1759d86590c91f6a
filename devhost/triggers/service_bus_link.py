"""What the log says of a link to the namespace: one line when it is lost, one when it is back, and how long to wait."""

import logging
from datetime import timedelta
from typing import Final

from devhost.triggers.service_bus_receiver import EntityUnavailable, ReceiverError

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = timedelta(seconds=0.8)
_LONGEST_PAUSE: Final = timedelta(seconds=15)


class LinkState:
    """The state of one trigger's link; `what` names it, such as `research from research-tasks at localhost:5672`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._failures = 0
        self._reported: type[ReceiverError] | None = None

    def up(self) -> None:
        """The link works."""
        if self._reported is not None:
            _log.info("receiving again: %s", self._what)
        self._failures = 0
        self._reported = None

    def down(self, error: ReceiverError) -> timedelta:
        """The link failed with `error`; how long to wait before the next try.

        The first failure of a link is tried again at once and in silence: namespaces close idle links as a matter of
        course. A missing entity is never silent.
        """
        self._failures += 1
        if self._failures == 1 and not isinstance(error, EntityUnavailable):
            return timedelta(0)
        if self._reported is not type(error):
            _log.warning("not receiving: %s: %s (trying again)", self._what, error)
            self._reported = type(error)
        return min(_FIRST_PAUSE * (1 << min(self._failures, 10)) / 4, _LONGEST_PAUSE)
