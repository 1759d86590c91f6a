"""Health: each thing the app needs, asked in turn; nothing of the inside shown, and no model paid for."""

import logging
from typing import Any

import pytest

from orchestrations.health import check_health
from shared.errors import StateCorrupted, StoreUnavailable
from tests.support.app_world import FlakyStore, World

WELL = {"service_bus": "Endpoint=sb://x", "model_api_key": "k"}


async def test_an_app_that_has_what_it_needs_is_well(world: World) -> None:
    report = await check_health(world.with_settings(**WELL))
    assert report.status == "ok"
    assert {name: check.status for name, check in report.checks.items()} == dict.fromkeys(
        ("state", "service_bus", "model"), "ok"
    )


async def test_asking_costs_no_tokens(world: World) -> None:
    await check_health(world.with_settings(**WELL))
    assert world.model.requests == []


@pytest.mark.parametrize("error", [StoreUnavailable("/secret/state.db is gone"), StateCorrupted("/secret/state.db")])
async def test_a_store_that_fails_is_said_without_its_path_and_logged_with_it(
    world: World, error: Any, caplog: pytest.LogCaptureFixture
) -> None:
    resources = world.with_settings(**WELL)
    broken = world.but(settings=resources.settings, store=FlakyStore(world.store, {"read_run": [error]}))
    with caplog.at_level(logging.WARNING):
        report = await check_health(broken)
    assert (report.status, report.checks["state"].status) == ("failing", "failing")
    assert "secret" not in report.model_dump_json()
    assert "/secret/state.db" in caplog.text


@pytest.mark.parametrize(
    ("settings", "check", "name"),
    [
        ({"model_api_key": "k"}, "service_bus", "ServiceBusConnection"),
        ({"service_bus": "x"}, "model", "MUSTER_MODEL_API_KEY"),
        ({**WELL, "model_base_url": "nonsense"}, "model", "MUSTER_MODEL_BASE_URL"),
    ],
)
async def test_a_setting_that_is_missing_is_named(
    world: World, settings: dict[str, str], check: str, name: str
) -> None:
    report = await check_health(world.with_settings(**settings))
    assert report.status == "failing"
    assert name in report.checks[check].detail
    assert [other for other, found in report.checks.items() if found.status == "failing"] == [check]


async def test_an_identity_is_as_good_as_a_connection_string(world: World) -> None:
    settings = {"service_bus_host": "x.servicebus.windows.net", "model_api_key": "k"}
    assert (await check_health(world.with_settings(**settings))).status == "ok"


async def test_the_offline_model_is_said_to_be_no_language_model(world: World) -> None:
    local = {"service_bus": "x", "environment": "Development", "website_hostname": "localhost:7071"}
    report = await check_health(world.with_settings(**local))
    assert report.status == "ok"
    assert "no language model" in report.checks["model"].detail
