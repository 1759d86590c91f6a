"""Removes orchestrations that have finished. One that has not is never removed, nor is anything below it."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.instance import FINISHED, Instance
from devhost.taskhub.operations.listing import ListingService
from devhost.taskhub.operations.refusals import settled

# How many are removed between two looks at the world.
_AT_ONCE: Final = 100


class Purging:
    """Removes instances with their histories and payloads. What is read here is on disk."""

    def __init__(self, engine: Engine, listing: ListingService) -> None:
        self._engine = engine
        self._instances = engine.context.instances
        self._listing = listing

    def purge(self, instance_ids: Iterable[str], *, recursive: bool) -> int:
        """Remove these where they have finished, and their finished sub-orchestrations; returns how many are gone."""
        removed: set[str] = set()
        waiting = list(instance_ids)
        while waiting:
            instance = self._instances.peek(waiting.pop())
            # Until the next commit, those that are removed can still be read.
            if instance is None or not instance.finished or instance.id in removed:
                continue
            if recursive:
                waiting += [each.id for each in self._children(instance)]
            self._instances.remove(instance)
            removed.add(instance.id)
        return len(removed)

    async def purge_matching(
        self, statuses: Iterable[int], earliest: int, end: int, *, recursive: bool, until: int
    ) -> tuple[int, bool]:
        """Remove all finished ones that match, until the clock has reached the instant `until`.

        Returns how many are gone, and whether none is left.
        """
        wanted = sorted(FINISHED & set(statuses)) or sorted(FINISHED)
        removed = 0
        while self._engine.context.timers.now() < until:
            found = [each.id for each in islice(self._listing.by_creation(wanted, earliest, end), _AT_ONCE)]
            if not found:
                return removed, True
            removed += self.purge(found, recursive=recursive)
            await settled(self._engine)
        return removed, False

    def _children(self, instance: Instance) -> Iterator[Instance]:
        return self._engine.context.journal.select("WHERE parent_id=?", (instance.id,))
