"""The entities in memory: those at which something waits, and those whose change is not on disk yet."""

from collections.abc import Callable, Iterable

from devhost.taskhub.entities.entity import Entity
from devhost.taskhub.entities.journal import EntityJournal


class Roster:
    """Entities by id. Whatever is not in memory is as the journal's file has it."""

    def __init__(self, journal: EntityJournal, now: Callable[[], int]) -> None:
        self._journal = journal
        self._now = now
        self._active: dict[str, Entity] = {}
        journal.on_written = self._written

    def take(self, entity_id: str) -> Entity:
        """The entity, which is then changed; a new one without a state when nothing is known of it."""
        entity = self.find(entity_id)
        if entity is None:
            entity = Entity(entity_id, self._now())
            self._journal.touch(entity)
        self._active[entity_id] = entity
        return entity

    def find(self, entity_id: str) -> Entity | None:
        """The entity, not to be changed."""
        return self._active.get(entity_id) or self._journal.find(entity_id)

    def backlog(self, entity_id: str) -> int:
        """How many messages wait at the entity."""
        entity = self._active.get(entity_id)
        return 0 if entity is None else entity.mailbox.backlog

    def in_memory(self, entity_id: str) -> bool:
        """Whether something about the entity is under way."""
        return entity_id in self._active

    def active(self) -> Iterable[Entity]:
        """Those in memory; must not be changed meanwhile."""
        return self._active.values()

    def _written(self, entity: Entity) -> None:
        if not entity.in_use and self._active.get(entity.id) is entity:
            del self._active[entity.id]
