"""An app whose host would cut an agent off does not start, and says which agent and which setting."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.catalog import CATALOG
from agents.host_limits import check_host_limits, check_limits
from agents.spec import AgentSpec
from shared.errors import ConfigurationError
from tests.support.app_world import an_agent


def host(timeout: Any = "00:30:00", renewal: Any = "00:30:00") -> dict[str, Any]:
    return {"functionTimeout": timeout, "extensions": {"serviceBus": {"maxAutoLockRenewalDuration": renewal}}}


def agent(minutes: float, **limits: Any) -> AgentSpec:
    return an_agent(timeout=timedelta(minutes=minutes), **limits)


def test_every_agent_there_is_has_its_time() -> None:
    check_host_limits(CATALOG)


@pytest.mark.parametrize(
    ("minutes", "given", "setting"),
    [
        (28, host(), "functionTimeout"),
        (27.1, host(timeout="00:30:00", renewal="01:00:00"), "functionTimeout"),
        (3, host(renewal="00:05:00"), "maxAutoLockRenewalDuration"),
        (3, {"functionTimeout": "00:30:00"}, "maxAutoLockRenewalDuration"),
        (28, {"extensions": {"serviceBus": {"maxAutoLockRenewalDuration": "1.00:00:00"}}}, "functionTimeout"),
    ],
)
def test_an_agent_that_takes_longer_than_the_host_allows_is_named_with_the_setting(
    minutes: float, given: dict[str, Any], setting: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"agent 'tester' .*{setting} in host.json"):
        check_limits([agent(minutes)], given)


@pytest.mark.parametrize("given", [host(), host(timeout="-1"), host(timeout="1.00:00:00")])
def test_an_agent_that_just_fits_is_taken(given: dict[str, Any]) -> None:
    check_limits([agent(27)], given)


def test_an_agent_without_a_queue_needs_no_lock() -> None:
    check_limits([agent(20, transport="activity")], host(renewal="00:05:00"))


@pytest.mark.parametrize("span", ["half an hour", "30", 30, "00:30", ["00:30:00"]])
def test_a_limit_that_is_no_time_span_is_said(span: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"functionTimeout in host\.json is no time span"):
        check_limits([agent(1)], host(timeout=span))


@pytest.mark.parametrize("content", [None, "{", ""])
def test_a_host_json_that_cannot_be_read_is_said(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "host.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"host\.json cannot be read"):
        check_host_limits([agent(1)], tmp_path / "host.json")
