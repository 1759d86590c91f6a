"""Which artifact store the settings choose."""

from pathlib import Path

import pytest

from shared.artifacts.blob import BlobArtifacts
from shared.artifacts.choice import artifact_store
from shared.artifacts.files import FileArtifacts
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.support.azurite import connection_string


async def test_without_settings_artifacts_are_files_in_the_data_folder(tmp_path: Path) -> None:
    store = artifact_store(Settings.read({"MUSTER_DATA_DIR": str(tmp_path)}))
    assert isinstance(store, FileArtifacts)
    await store.put(b"x", "text/plain", run="run-1")
    assert (tmp_path / "artifacts" / "run-1").is_dir()


@pytest.mark.parametrize(
    "environ",
    [
        {"MUSTER_ARTIFACTS_URL": "https://x.blob.core.windows.net/artifacts"},
        {"MUSTER_ARTIFACTS_CONNECTION": connection_string(10000)},
    ],
)
def test_a_url_or_a_connection_string_choose_blob_storage(environ: dict[str, str]) -> None:
    assert isinstance(artifact_store(Settings.read(environ)), BlobArtifacts)


def test_an_address_that_would_carry_a_token_in_the_clear_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="MUSTER_ARTIFACTS_URL"):
        artifact_store(Settings.read({"MUSTER_ARTIFACTS_URL": "http://x.example/artifacts"}))
