"""Which model endpoint the settings mean."""

from urllib.parse import urlsplit

from shared.credentials import entra_token
from shared.errors import ConfigurationError
from shared.llm.openai import ApiKey, Endpoint
from shared.llm.prices import OFFLINE_MODEL
from shared.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
"""Where the client goes that is given no address."""
_AZURE_HOSTS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
_AZURE_SCOPE = "https://cognitiveservices.azure.com/.default"
_NO_KEY = "none"  # the openai client insists on a key; a server that wants none ignores it


def resolve_endpoint(settings: Settings) -> Endpoint:
    """The endpoint to call: the one given, else OpenAI's when there is a key, else the local host's offline model.

    Raises `ConfigurationError` when nothing is set outside development, and for an endpoint that is no address.
    """
    key = _checked_key("MUSTER_MODEL_API_KEY", settings.model_api_key)
    if settings.model_base_url:
        credential = _credential("MUSTER_MODEL_BASE_URL", settings.model_base_url, key, settings)
        return Endpoint(settings.model_base_url, credential, settings.model_name)
    if settings.model_api_key:
        return Endpoint(None, settings.model_api_key, settings.model_name)
    if settings.in_development and settings.website_hostname:
        return Endpoint(f"http://{settings.website_hostname}/v1", _NO_KEY, OFFLINE_MODEL)
    raise ConfigurationError("no model is configured: set MUSTER_MODEL_BASE_URL, or MUSTER_MODEL_API_KEY")


def resolve_fallback(settings: Settings) -> Endpoint:
    """The endpoint to call when the first is away: by default the same one with another model.

    Raises `ConfigurationError` for an endpoint that is no address, and whatever makes the first endpoint impossible.
    """
    url = settings.model_fallback_base_url
    key = _checked_key("MUSTER_MODEL_FALLBACK_API_KEY", settings.model_fallback_api_key)
    if not url:
        first = resolve_endpoint(settings)
        return Endpoint(first.base_url, key or first.api_key, settings.model_fallback_name)
    credential = _credential("MUSTER_MODEL_FALLBACK_BASE_URL", url, key, settings)
    return Endpoint(url, credential, settings.model_fallback_name)


def endpoint_host(endpoint: Endpoint) -> str:
    """The host that an endpoint is at."""
    return urlsplit(endpoint.base_url or OPENAI_URL).hostname or "unknown"


def _checked_key(setting: str, key: str) -> str:
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(f"{setting} has characters that cannot travel in a header")
    return key


def _credential(setting: str, url: str, key: str, settings: Settings) -> ApiKey:
    host = _host(setting, url)
    if key:
        return key
    if host.endswith(_AZURE_HOSTS):
        return entra_token(settings.client_id or None, _AZURE_SCOPE)
    return _NO_KEY


def _host(setting: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    if not host:
        raise ConfigurationError(f"{setting} is no http or https address")
    return host
