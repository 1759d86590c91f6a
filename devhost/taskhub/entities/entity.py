"""One entity, as the engine has it in memory."""

from dataclasses import dataclass, field

from devhost.taskhub.entities.mailbox import EntityMailbox


@dataclass(slots=True, eq=False)
class Entity:
    """An entity with what waits at it. `id` is `@name@key`, `modified_at` an instant; no `state`: it does not exist."""

    id: str
    modified_at: int
    state: str | None = None
    mailbox: EntityMailbox = field(default_factory=EntityMailbox)

    @property
    def in_use(self) -> bool:
        """Whether it must stay in memory: something at it is not done."""
        return self.mailbox.backlog > 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost if it were forgotten."""
        return self.state is None and self.mailbox.lock is None and not self.in_use
