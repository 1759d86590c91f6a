"""Which model endpoint the settings mean."""

from urllib.parse import urlsplit

from shared.credentials import entra_token
from shared.errors import ConfigurationError
from shared.llm.openai import ApiKey, Endpoint
from shared.llm.prices import OFFLINE_MODEL
from shared.settings import Settings

_AZURE_HOSTS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
_AZURE_SCOPE = "https://cognitiveservices.azure.com/.default"
_NO_KEY = "none"  # the openai client insists on a key; a server that wants none ignores it


def resolve_endpoint(settings: Settings) -> Endpoint:
    """The endpoint to call: the one given, else OpenAI's when there is a key, else the local host's offline model.

    Raises `ConfigurationError` when nothing is set outside development, and for an endpoint that is no address.
    """
    if not (settings.model_api_key.isascii() and settings.model_api_key.isprintable()):
        raise ConfigurationError("MUSTER_MODEL_API_KEY has characters that cannot travel in a header")
    if settings.model_base_url:
        return Endpoint(settings.model_base_url, _credential(settings), settings.model_name)
    if settings.model_api_key:
        return Endpoint(None, settings.model_api_key, settings.model_name)
    if settings.in_development and settings.website_hostname:
        return Endpoint(f"http://{settings.website_hostname}/v1", _NO_KEY, OFFLINE_MODEL)
    raise ConfigurationError("no model is configured: set MUSTER_MODEL_BASE_URL, or MUSTER_MODEL_API_KEY")


def _credential(settings: Settings) -> ApiKey:
    host = _host(settings.model_base_url)
    if settings.model_api_key:
        return settings.model_api_key
    if host.endswith(_AZURE_HOSTS):
        return entra_token(settings.client_id or None, _AZURE_SCOPE)
    return _NO_KEY


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    if not host:
        raise ConfigurationError("MUSTER_MODEL_BASE_URL is no http or https address")
    return host
