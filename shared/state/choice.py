"""Which stores of runs and of circuits the settings choose."""

from datetime import timedelta

from shared import names
from shared.artifacts.store import ArtifactStore
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.state.circuits import CircuitStore
from shared.state.cosmos import CosmosState
from shared.state.cosmos_circuits import CosmosCircuits
from shared.state.cosmos_container import CosmosConnection
from shared.state.sqlite import SqliteState
from shared.state.sqlite_circuits import SqliteCircuits
from shared.state.store import StateStore


def state_store(settings: Settings, artifacts: ArtifactStore) -> StateStore:
    """The store that keeps runs; nothing is opened or reached yet. Raises `ConfigurationError`."""
    if not uses_cosmos(settings):
        return SqliteState(settings.data_dir / "state.db")
    retention = timedelta(days=settings.retention_days) if settings.retention_days else None
    return CosmosState(cosmos_connection(settings), artifacts, retention=retention)


def circuit_store(settings: Settings) -> CircuitStore:
    """The store that keeps circuits, beside the runs; nothing is opened or reached yet. Raises `ConfigurationError`."""
    if not uses_cosmos(settings):
        return SqliteCircuits(settings.data_dir / "circuits.db")
    return CosmosCircuits(cosmos_connection(settings))


def uses_cosmos(settings: Settings) -> bool:
    """Whether runs are kept in Cosmos DB."""
    return settings.state == "cosmos" or (settings.state == "" and bool(settings.cosmos or settings.cosmos_endpoint))


def cosmos_connection(settings: Settings) -> CosmosConnection:
    """Where the runs' container is. Raises `ConfigurationError`, which names the setting and shows no value."""
    endpoint, key = settings.cosmos_endpoint, None
    if settings.cosmos:
        endpoint, key = _parts(settings.cosmos)
    if not endpoint:
        raise ConfigurationError("MUSTER_STATE is cosmos: set CosmosConnection__accountEndpoint, or CosmosConnection")
    if not endpoint.startswith(("https://", "http://")):
        raise ConfigurationError("the Cosmos DB account's address must begin with https:// (http:// for an emulator)")
    return CosmosConnection(
        endpoint=endpoint,
        database=settings.cosmos_database,
        container=names.COSMOS_RUNS,
        key=key,
        client_id=settings.client_id or None,
    )


def _parts(connection_string: str) -> tuple[str, str]:
    fields = dict(part.strip().split("=", 1) for part in connection_string.split(";") if "=" in part)
    try:
        return fields["AccountEndpoint"], fields["AccountKey"]
    except KeyError as missing:
        raise ConfigurationError(f"CosmosConnection is no connection string: it has no {missing.args[0]}") from None
