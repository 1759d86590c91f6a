"""Which store the settings choose, and what is wrong with settings that choose none."""

from pathlib import Path

import pytest

from shared.artifacts.files import FileArtifacts
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.state.choice import cosmos_connection, state_store
from shared.state.cosmos import CosmosState
from shared.state.sqlite import SqliteState

STRING = "AccountEndpoint=http://localhost:8081/;AccountKey=c2VjcmV0PT0=;"
ENTRA = {"CosmosConnection__accountEndpoint": "https://runs.documents.azure.com:443/", "AZURE_CLIENT_ID": "the-app"}


@pytest.mark.parametrize(
    ("settings", "store"),
    [
        ({}, SqliteState),
        ({"MUSTER_STATE": "sqlite"}, SqliteState),
        ({"CosmosConnection": STRING}, CosmosState),
        (ENTRA, CosmosState),
        ({"MUSTER_STATE": "cosmos", **ENTRA}, CosmosState),
        ({"MUSTER_STATE": "sqlite", **ENTRA}, SqliteState),
    ],
)
def test_an_account_implies_cosmos_db_unless_the_settings_say_otherwise(
    tmp_path: Path, settings: dict[str, str], store: type[object]
) -> None:
    assert isinstance(state_store(Settings.read(settings), FileArtifacts(tmp_path)), store)


def test_a_connection_string_gives_the_key_and_wins_over_an_address() -> None:
    connection = cosmos_connection(Settings.read({**ENTRA, "CosmosConnection": STRING, "MUSTER_COSMOS_DATABASE": "d"}))
    assert (connection.endpoint, connection.key) == ("http://localhost:8081/", "c2VjcmV0PT0=")
    assert (connection.database, connection.container, connection.is_local) == ("d", "runs", True)


def test_an_address_without_a_key_means_the_apps_own_identity() -> None:
    connection = cosmos_connection(Settings.read(ENTRA))
    assert (connection.key, connection.client_id, connection.is_local) == (None, "the-app", False)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"MUSTER_STATE": "cosmos"}, "CosmosConnection__accountEndpoint"),
        ({"CosmosConnection": "c2VjcmV0"}, "AccountEndpoint"),
        ({"CosmosConnection": "AccountEndpoint=https://x/"}, "AccountKey"),
        ({"CosmosConnection": "AccountEndpoint=;AccountKey=c2VjcmV0"}, "CosmosConnection"),
        ({"CosmosConnection__accountEndpoint": "runs.documents.azure.com"}, "https://"),
    ],
)
def test_settings_that_lead_nowhere_are_refused_by_name_without_showing_a_value(
    tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told) as refused:
        state_store(Settings.read(settings), FileArtifacts(tmp_path))
    assert "c2VjcmV0" not in str(refused.value)


def test_a_store_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="MUSTER_STATE"):
        Settings.read({"MUSTER_STATE": "redis"})
