"""Settings: what counts as set, what is refused, and that no value is ever shown."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.errors import ConfigurationError
from shared.llm.endpoint import resolve_endpoint
from shared.resources import Resources
from shared.settings import Settings, load_settings

SECRETS = {
    "ServiceBusConnection": "Endpoint=sb://x.example/;SharedAccessKeyName=n;SharedAccessKey=s3cr3t-bus",
    "MUSTER_MODEL_API_KEY": "s3cr3t-model",
}


def test_without_any_setting_there_are_the_defaults() -> None:
    settings = Settings.read({})
    assert (settings.data_dir, settings.model_name) == (Path(".muster"), "gpt-5-mini")
    assert settings.model_timeout.total_seconds() == 90
    assert settings.service_bus == settings.model_api_key == ""
    assert not settings.in_development


def test_a_setting_is_read_by_its_name() -> None:
    settings = Settings.read({"MUSTER_DATA_DIR": "/data", "MUSTER_MODEL_TIMEOUT_SECONDS": "2.5", **SECRETS})
    assert settings.data_dir == Path("/data")
    assert settings.model_timeout.total_seconds() == 2.5
    assert settings.model_api_key == "s3cr3t-model"


def test_an_empty_setting_counts_as_not_set() -> None:
    assert Settings.read({"MUSTER_MODEL_TIMEOUT_SECONDS": "", "MUSTER_MODEL_NAME": ""}) == Settings.read({})


def test_white_space_around_a_value_is_a_slip_of_the_hand() -> None:
    assert Settings.read({"MUSTER_MODEL_API_KEY": " key\n"}).model_api_key == "key"


def test_other_variables_of_the_environment_are_no_concern_of_the_app() -> None:
    assert Settings.read({"PATH": "/bin", "MUSTER_UNKNOWN": "1", "model_name": "x"}) == Settings.read({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MUSTER_MODEL_TIMEOUT_SECONDS", "0"),
        ("MUSTER_MODEL_TIMEOUT_SECONDS", "-1"),
        ("MUSTER_MODEL_TIMEOUT_SECONDS", "1801"),
        ("MUSTER_MODEL_TIMEOUT_SECONDS", "nan"),
        ("MUSTER_MODEL_TIMEOUT_SECONDS", "inf"),
        ("MUSTER_MODEL_TIMEOUT_SECONDS", "s3cr3t"),
        ("MUSTER_MODEL_MAX_OUTPUT_TOKENS", "0"),
        ("MUSTER_MODEL_MAX_OUTPUT_TOKENS", "1.5"),
        ("MUSTER_MODEL_MAX_OUTPUT_TOKENS", "s3cr3t"),
    ],
)
def test_a_value_that_makes_no_sense_stops_the_app_by_name_and_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"setting {name}: ") as refused:
        Settings.read({name: value})
    assert "s3cr3t" not in str(refused.value)


def test_no_representation_shows_a_secret() -> None:
    settings = Settings.read(SECRETS)
    resources = Resources.from_settings(settings)
    for shown in (repr(settings), str(settings), repr(resources), repr(resolve_endpoint(settings))):
        assert "s3cr3t" not in shown


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings.read({}).model_name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(("value", "expected"), [("Development", True), ("development", True), ("Production", False)])
def test_a_local_host_is_known_by_its_environment(value: str, expected: bool) -> None:
    assert Settings.read({"AZURE_FUNCTIONS_ENVIRONMENT": value}).in_development is expected


def test_the_process_gives_the_settings() -> None:
    assert isinstance(load_settings(), Settings)


@pytest.mark.parametrize("environ", [{}, SECRETS], ids=["nothing", "secrets"])
def test_making_the_resources_reaches_nothing(environ: Mapping[str, str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    Resources.from_settings(Settings.read({**environ, "MUSTER_DATA_DIR": str(data)}))
    assert not data.exists()
