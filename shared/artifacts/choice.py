"""Which artifact store the settings choose."""

from shared.artifacts.blob import BlobArtifacts, Container
from shared.artifacts.files import FileArtifacts
from shared.artifacts.store import ArtifactStore
from shared.errors import ConfigurationError
from shared.settings import Settings


def artifact_store(settings: Settings) -> ArtifactStore:
    """The store that keeps artifacts; nothing is opened or reached yet. Raises `ConfigurationError`."""
    if settings.artifacts_connection:
        return BlobArtifacts(Container(connection_string=settings.artifacts_connection))
    if not settings.artifacts_url:
        return FileArtifacts(settings.data_dir / "artifacts")
    if not settings.artifacts_url.startswith("https://"):
        raise ConfigurationError("MUSTER_ARTIFACTS_URL must begin with https://: an identity's token is sent there")
    return BlobArtifacts(Container(url=settings.artifacts_url, client_id=settings.client_id or None))
