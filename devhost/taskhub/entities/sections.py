"""Critical sections: which entities an orchestration has locked, or has asked to lock."""

from collections.abc import Iterable


class CriticalSections:
    """The sections of each owner, with the ids of the entities in them."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, set[str]]] = {}

    def enter(self, owner: str, section: str, entity_ids: Iterable[str]) -> None:
        """The owner has asked for these locks, or has them."""
        self._of.setdefault(owner, {}).setdefault(section, set()).update(entity_ids)

    def leave(self, owner: str, section: str, entity_id: str) -> None:
        """The owner has let go of one lock."""
        sections = self._of.get(owner, {})
        entity_ids = sections.get(section, set())
        entity_ids.discard(entity_id)
        if not entity_ids:
            sections.pop(section, None)
        if not sections:
            self._of.pop(owner, None)

    def of(self, owner: str) -> list[tuple[str, str]]:
        """Each (section, entity id) that the owner has locked or asked for."""
        return [
            (section, each) for section, entity_ids in self._of.get(owner, {}).items() for each in sorted(entity_ids)
        ]

    def owners(self) -> list[str]:
        """All who have locked something, or asked to."""
        return list(self._of)
