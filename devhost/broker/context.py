"""What the parts of one broker share: its agenda, its journal, and the note of who may have something to hand out."""

from dataclasses import dataclass, field
from typing import Protocol

from devhost.broker.agenda import Agenda
from devhost.broker.journal import Journal


class Server(Protocol):
    """Something that answers waiting calls."""

    def serve(self) -> None:
        """Answer those that can be answered now."""
        ...


@dataclass(slots=True, eq=False)
class Context:
    """One broker's shared parts."""

    agenda: Agenda
    journal: Journal
    _touched: dict[Server, None] = field(default_factory=dict)

    def touch(self, server: Server) -> None:
        """Remember that `server` may have something to hand out."""
        self._touched[server] = None

    def settle(self) -> None:
        """End a change: set the alarm for what falls due now, and let everybody touched answer those who wait."""
        while self._touched:
            server = next(iter(self._touched))
            del self._touched[server]
            server.serve()
        self.agenda.set_alarm()
