import json
from pathlib import Path
from typing import Any

import pytest

from devhost.config import AppConfig, load_config
from devhost.errors import StartError
from devhost.host_json import HostJson, load_host_json


def app(folder: Path, host_json: Any = None, local_settings: Any = None) -> Path:
    for name, content in (("host.json", host_json), ("local.settings.json", local_settings)):
        if content is not None:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


VERSION = {"version": "2.0"}


def test_values_become_settings_and_environment_and_the_environment_wins(tmp_path: Path) -> None:
    values = {"Values": {"GIVEN_BOTH": "file", "GIVEN_IN_FILE": "file"}}
    environment = {"GIVEN_BOTH": "environment"}
    config = load_config(app(tmp_path, VERSION, values), environment)
    assert config.settings["GIVEN_BOTH"] == "environment"
    assert config.settings["GIVEN_IN_FILE"] == "file"
    assert environment["GIVEN_IN_FILE"] == "file"


def test_an_app_needs_no_local_settings(tmp_path: Path) -> None:
    assert load_config(app(tmp_path, VERSION), {"A": "1"}).settings == {"A": "1"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", r"local.settings.json:1:2: not valid JSON"),
        ('{\n "Values": {"A": 1,\n "B" "2"}\n}', r"local.settings.json:3:6: not valid JSON"),
        ("[]", "must hold a JSON object, not list"),
        ({"IsEncrypted": True, "Values": {}}, '"IsEncrypted": true is not supported'),
        ({"Values": []}, '"Values" must be an object'),
        ({"Values": {"PORT": 7071}}, '"PORT" must be a text in quotes, not 7071'),
        ({"Values": {"NESTED": {"A": "1"}}}, '"NESTED" must be a text'),
        ({"Values": {"A=B": "1"}}, '"A=B" cannot be'),
        ({"Values": {"": "1"}}, '"" cannot be'),
        ({"Values": {"A": "\0"}}, '"A" cannot be'),
    ],
)
def test_malformed_settings_are_refused_with_file_and_place(tmp_path: Path, content: Any, reason: str) -> None:
    with pytest.raises(StartError) as refused:
        load_config(app(tmp_path, VERSION, content), {})
    assert reason in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_sections_of_local_settings_that_mean_nothing_here_are_named(tmp_path: Path) -> None:
    config = load_config(app(tmp_path, VERSION, {"Values": {}, "ConnectionStrings": {}}), {})
    assert config.warnings == ("local.settings.json: ConnectionStrings has no effect in this host",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "it has no host.json"),
        ("{x}", "host.json:1:2: not valid JSON"),
        ({}, '"version" must be "2.0", not None'),
        ({"version": "1.0"}, "not '1.0'"),
        ({"version": 2.0}, "not 2.0"),
    ],
)
def test_a_folder_without_a_proper_host_json_is_refused(tmp_path: Path, content: Any, reason: str) -> None:
    with pytest.raises(StartError) as refused:
        load_host_json(app(tmp_path, content))
    assert reason in str(refused.value)


def test_an_app_in_another_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="FUNCTIONS_WORKER_RUNTIME is node"):
        load_config(app(tmp_path, VERSION, {"Values": {"FUNCTIONS_WORKER_RUNTIME": "node"}}), {})


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="is not a folder"):
        load_config(tmp_path / "nowhere", {})


def test_comments_and_trailing_commas_are_read_as_the_real_host_reads_them(tmp_path: Path) -> None:
    text = '{ // why\n "version": "2.0", /* and\n */ "extensions": {"http": {"routePrefix": "a//b",},},\n}'
    read = load_host_json(app(tmp_path, text))
    assert read.text("extensions", "http", "routePrefix", default="") == "a//b"


def test_every_key_without_effect_is_named_and_the_honoured_ones_are_not(tmp_path: Path) -> None:
    content = {
        **VERSION,
        "functionTimeout": "00:10:00",
        "singleton": {"lockPeriod": "00:00:15"},
        "extensionBundle": {"id": "x", "version": "[4.*, 5.0.0)"},
        "extensions": {
            "http": {"routePrefix": "", "hsts": {"isEnabled": True}},
            "durableTask": {"hubName": "h", "storageProvider": {"type": "azureManaged"}},
            "serviceBus": {"maxConcurrentCalls": 4, "transportType": "amqpWebSockets"},
            "queues": {"batchSize": 1},
        },
        "logging": {"logLevel": {"default": "Warning", "Host.Results": "Error"}},
    }
    named = {warning.split()[1] for warning in load_host_json(app(tmp_path, content)).warnings}
    assert named == {
        "singleton",
        "extensions.http.hsts",
        "extensions.durableTask.storageProvider",
        "extensions.serviceBus.transportType",
        "extensions.queues",
        "logging.logLevel.Host.Results",
    }


def values(**http: Any) -> HostJson:
    return HostJson({"extensions": {"http": http}, "functionTimeout": http.get("timeout")}, ())


def test_numbers_texts_and_durations_are_read_with_their_defaults() -> None:
    read = values(n=3, t="x", headers={"a": "b"}, timeout="1.00:00:30")
    assert read.whole_number("extensions", "http", "n", default=9) == 3
    assert read.whole_number("extensions", "http", "absent", default=9) == 9
    assert read.whole_number("extensions", "absent", "n", default=9) == 9
    assert read.text("extensions", "http", "t", default="") == "x"
    assert read.texts("extensions", "http", "headers") == {"a": "b"}
    assert str(read.duration("functionTimeout")) == "1 day, 0:00:30"
    assert values(timeout="-1").duration("functionTimeout") is None
    assert values().duration("functionTimeout") is None


@pytest.mark.parametrize(
    ("http", "read"),
    [
        ({"k": "3"}, lambda host: host.whole_number("extensions", "http", "k", default=1)),
        ({"k": 3}, lambda host: host.text("extensions", "http", "k", default="")),
        ({"k": 3}, lambda host: host.section("extensions", "http", "k")),
        ({"k": {"a": 1}}, lambda host: host.texts("extensions", "http", "k")),
        ({"k": 3}, lambda host: host.text("extensions", "http", "k", "deeper", default="")),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(http: dict[str, Any], read: Any) -> None:
    with pytest.raises(StartError, match=r"host\.json: extensions\.http\.k(\.a)? must be"):
        read(values(**http))


def test_a_choice_is_one_of_those_there_are() -> None:
    assert values(k="a").choice("extensions", "http", "k", choices=["a", "b"]) == "a"
    assert values().choice("extensions", "http", "k", choices=["a", "b"]) is None
    others: list[object] = ["c", 1, {}]
    for other in others:
        with pytest.raises(StartError, match=r"extensions\.http\.k must be one of a, b"):
            values(k=other).choice("extensions", "http", "k", choices=["a", "b"])


@pytest.mark.parametrize(
    ("setting", "value", "disabled"),
    [
        ("AzureWebJobs.f.Disabled", "true", True),
        ("AzureWebJobs.f.Disabled", "1", True),
        ("AzureWebJobs__f__Disabled", "True", True),
        ("AzureWebJobs.f.Disabled", "false", False),
        ("AzureWebJobs.g.Disabled", "true", False),
    ],
)
def test_a_function_is_disabled_by_its_setting(setting: str, value: str, disabled: bool) -> None:
    assert AppConfig(Path(), {setting: value}, HostJson({}, ())).disables("f") is disabled


def test_only_local_emulators_are_moved_to_another_port() -> None:
    rest = ";SharedAccessKeyName=k;SharedAccessKey=v;"
    settings = {
        "Local": f"Endpoint=sb://localhost{rest}UseDevelopmentEmulator=true;",
        "WithPort": f"Endpoint=sb://127.0.0.1:5672/{rest}UseDevelopmentEmulator=true",
        "Elsewhere": f"Endpoint=sb://bus.internal{rest}UseDevelopmentEmulator=true",
        "Azure": f"Endpoint=sb://localhost{rest}",
        "Other": "localhost",
    }
    environment = dict(settings)
    moved = AppConfig(Path(), settings, HostJson({}, ())).emulator_on(6000, environment)
    assert moved.settings["Local"] == f"Endpoint=sb://localhost:6000{rest}UseDevelopmentEmulator=true;"
    assert moved.settings["WithPort"] == f"Endpoint=sb://127.0.0.1:6000{rest}UseDevelopmentEmulator=true"
    assert {name for name in settings if moved.settings[name] != settings[name]} == {"Local", "WithPort"}
    assert environment == moved.settings


def test_a_duration_that_is_none_is_refused_by_its_key() -> None:
    with pytest.raises(StartError, match="functionTimeout must be a duration"):
        values(timeout="ten minutes").duration("functionTimeout")


def test_a_setting_between_percent_signs_is_filled_in_and_a_missing_one_named() -> None:
    config = AppConfig(Path(), {"HUB": "seven"}, HostJson({}, ()))
    assert config.expand("%HUB%-%HUB%") == "seven-seven"
    assert config.expand("100%") == "100%"
    with pytest.raises(StartError, match="NONE"):
        config.expand("%NONE%")
