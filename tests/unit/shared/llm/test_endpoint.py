"""Which model endpoint the settings mean."""

from typing import Any

import pytest

from shared.errors import ConfigurationError
from shared.llm.endpoint import resolve_endpoint, resolve_fallback
from shared.llm.openai import Endpoint
from shared.llm.prices import OFFLINE_MODEL
from shared.settings import Settings

LOCAL = {"AZURE_FUNCTIONS_ENVIRONMENT": "Development", "WEBSITE_HOSTNAME": "localhost:7071"}


def resolve(**environ: Any) -> Endpoint:
    return resolve_endpoint(Settings.read({f"MUSTER_MODEL_{name.upper()}": value for name, value in environ.items()}))


def test_an_address_and_a_key_are_used_as_they_are() -> None:
    assert resolve(base_url="https://x.example/v1/", api_key="k", name="m") == Endpoint(
        "https://x.example/v1/", "k", "m"
    )


def test_a_key_alone_is_one_of_openai() -> None:
    assert resolve(api_key="k") == Endpoint(None, "k", "gpt-5-mini")


def test_an_address_without_a_key_gets_a_placeholder_as_a_local_server_wants_none() -> None:
    assert resolve(base_url="http://localhost:11434/v1/", name="llama").api_key == "none"


@pytest.mark.parametrize(
    "host", ["x.openai.azure.com", "X.OpenAI.Azure.com", "x.services.ai.azure.com", "x.cognitiveservices.azure.com"]
)
def test_an_azure_address_without_a_key_uses_the_apps_identity(host: str) -> None:
    assert callable(resolve(base_url=f"https://{host}/openai/v1/").api_key)


@pytest.mark.parametrize("host", ["openai.azure.com.evil.example", "xopenai.azure.com", "evil.example"])
def test_no_other_address_ever_gets_a_token_of_the_apps_identity(host: str) -> None:
    assert resolve(base_url=f"https://{host}/openai.azure.com/v1/").api_key == "none"


def test_an_azure_address_with_a_key_uses_the_key() -> None:
    assert resolve(base_url="https://x.openai.azure.com/openai/v1/", api_key="k").api_key == "k"


def test_with_nothing_set_a_local_host_answers_with_its_offline_model() -> None:
    assert resolve_endpoint(Settings.read(LOCAL)) == Endpoint("http://localhost:7071/v1", "none", OFFLINE_MODEL)


def test_with_nothing_set_nothing_else_answers() -> None:
    for environ in ({}, {**LOCAL, "AZURE_FUNCTIONS_ENVIRONMENT": "Production"}, {**LOCAL, "WEBSITE_HOSTNAME": ""}):
        with pytest.raises(ConfigurationError, match="MUSTER_MODEL_BASE_URL"):
            resolve_endpoint(Settings.read(environ))


@pytest.mark.parametrize(
    "url", ["x.example/v1", "localhost:11434/v1", "ftp://x.example", "http://", "http://[", "https:///v1", "not a url"]
)
def test_what_is_no_address_is_an_error_of_configuration(url: str) -> None:
    for key in ("", "k"):
        with pytest.raises(ConfigurationError, match="MUSTER_MODEL_BASE_URL"):
            resolve(base_url=url, api_key=key)


@pytest.mark.parametrize("key", ["schlüssel", "a\nb", "a\x00b"])
def test_a_key_that_no_header_can_carry_is_an_error_that_does_not_show_it(key: str) -> None:
    with pytest.raises(ConfigurationError, match="MUSTER_MODEL_API_KEY") as refused:
        resolve(api_key=key)
    assert key not in str(refused.value)


def fallback(**environ: Any) -> Endpoint:
    return resolve_fallback(Settings.read({f"MUSTER_MODEL_{name.upper()}": value for name, value in environ.items()}))


def test_a_fallback_without_an_address_is_another_model_of_the_first_endpoint() -> None:
    found = fallback(base_url="https://x.example/v1/", api_key="k", fallback_name="small")
    assert found == Endpoint("https://x.example/v1/", "k", "small")


def test_the_first_endpoints_key_is_never_sent_to_a_fallback_elsewhere() -> None:
    found = fallback(base_url="https://x.example/v1/", api_key="k", fallback_base_url="https://y.example/v1/")
    assert found.api_key == "none"


def test_a_fallback_elsewhere_has_its_own_key() -> None:
    found = fallback(api_key="k", fallback_base_url="https://y.example/v1/", fallback_api_key="f", fallback_name="m")
    assert found == Endpoint("https://y.example/v1/", "f", "m")


@pytest.mark.parametrize(
    ("environ", "setting"),
    [
        ({"fallback_base_url": "ftp://y.example"}, "MUSTER_MODEL_FALLBACK_BASE_URL"),
        ({"api_key": "k", "fallback_api_key": "k\u00e9"}, "MUSTER_MODEL_FALLBACK_API_KEY"),
    ],
)
def test_a_fallback_that_cannot_be_used_names_its_setting(environ: dict[str, str], setting: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        fallback(**environ)
