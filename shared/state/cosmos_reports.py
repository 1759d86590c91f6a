"""Patches of a run's documents, each of which also writes down what the run has cost since that was last done."""

from collections.abc import Sequence

from shared.state.charges import Charges
from shared.state.cosmos_container import CosmosContainer, Item


class Reports:
    """Patches in one container, whose costs `charges` counts. What a failed one would have reported, the next does."""

    def __init__(self, container: CosmosContainer, charges: Charges) -> None:
        self._container = container
        self._charges = charges

    async def patch(
        self,
        task_id: str,
        item_id: str,
        operations: Sequence[Item],
        *,
        condition: str | None = None,
        etag: str | None = None,
    ) -> Item:
        """Change one of the run's documents, or only report; see `CosmosContainer.patch`, also for what is raised."""
        units = self._charges.take(task_id)
        report: Item = {"op": "incr", "path": "/request_units", "value": round(units, 2)}
        try:
            return await self._container.patch(item_id, task_id, [*operations, report], condition=condition, etag=etag)
        except BaseException:
            self._charges.give_back(task_id, units)
            raise
