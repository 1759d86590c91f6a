"""What sending costs: Service Bus counts each call of its API, and one of more than 64 KiB as several."""

from collections import Counter

OPERATION_BYTES = 64 * 1024
"""How much one operation carries."""


class BusCharges:
    """Counts what was handed over to each queue or topic: `transfers` (calls), `messages` in them, `operations`."""

    def __init__(self) -> None:
        self.transfers: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()

    def add(self, entity: str, messages: int, size: int) -> None:
        """Count one transfer of `size` bytes."""
        self.transfers[entity] += 1
        self.messages[entity] += messages
        self.operations[entity] += operations_of(size)


def operations_of(size: int) -> int:
    """How many operations a call with `size` bytes is; one without any is one, too."""
    return max(1, -(-size // OPERATION_BYTES))
