"""Circuits in Cosmos DB: a document each, all in one partition of the runs' container, written under their ETags.

No run can have the partition's key as its id, because a run's id that came through a door holds no colon; and a
document of another kind is in no list of runs.
"""

from shared.circuit import Circuit
from shared.state.charges import Charges
from shared.state.circuits import StoredCircuit, circuit_of
from shared.state.cosmos_container import AlreadyThere, Changed, CosmosConnection, CosmosContainer, Item, NotThere

PARTITION = ":circuits"
_ALL = "select * from c where c.task_id = @partition and c.kind = 'circuit'"


class CosmosCircuits:
    """Circuits in one container; `charges` counts what they cost. Connects on first use. See `CircuitStore`."""

    def __init__(self, connection: CosmosConnection) -> None:
        self.charges = Charges()
        self._container = CosmosContainer(connection, self.charges)

    async def read(self, name: str) -> StoredCircuit | None:
        """One circuit, by a point read; see `CircuitStore.read`."""
        item = await self._container.read(_item_id(name), PARTITION)
        return None if item is None else _stored(item)

    async def read_all(self) -> tuple[StoredCircuit, ...]:
        """All of them, by a query over their partition; see `CircuitStore.read_all`."""
        items = await self._container.query(_ALL, {"partition": PARTITION}, partition=PARTITION)
        return tuple(sorted(map(_stored, items), key=lambda stored: stored.circuit.name))

    async def write(self, circuit: Circuit, version: str | None) -> bool:
        """A create, or a patch under the ETag; see `CircuitStore.write`."""
        item_id, body = _item_id(circuit.name), circuit.model_dump_json()
        try:
            if version is None:
                await self._container.create(
                    {"id": item_id, "task_id": PARTITION, "kind": "circuit", "body": body}, PARTITION
                )
            else:
                change = [{"op": "set", "path": "/body", "value": body}]
                await self._container.patch(item_id, PARTITION, change, etag=version)
        except (AlreadyThere, Changed, NotThere):
            return False
        return True

    async def close(self) -> None:
        """Let go of the connections."""
        await self._container.close()


def _item_id(name: str) -> str:
    return f"circuit:{name}"


def _stored(item: Item) -> StoredCircuit:
    return StoredCircuit(circuit_of(str(item.get("body", ""))), str(item["_etag"]))
