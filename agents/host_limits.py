"""Whether the host gives every agent its time: `host.json` against the catalog, looked at when the app starts.

A function that runs into the host's limit is killed, and its message comes again; a lock that is not renewed for as
long as an agent runs lets a second delivery come while the first is at work. Both are better said at once.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from agents.spec import AgentSpec
from shared.errors import ConfigurationError

HOST_JSON = Path(__file__).parent.parent / "host.json"
MARGIN = timedelta(minutes=3)
"""What a call takes besides its agent: claiming, and recording in a store that is away for a while."""

# What the platform does where host.json says nothing.
_FUNCTION_TIMEOUT = "00:30:00"
_LOCK_RENEWAL = "00:05:00"
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")


def check_host_limits(agents: Iterable[AgentSpec], path: Path = HOST_JSON) -> None:
    """Raise `ConfigurationError`, which names the agent and the setting, unless every agent has its time."""
    try:
        host = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"host.json cannot be read: {error}") from None
    check_limits(agents, host)


def check_limits(agents: Iterable[AgentSpec], host: Mapping[str, Any]) -> None:
    """The same for a `host.json` that was read."""
    timeout = _limit(host, ("functionTimeout",), _FUNCTION_TIMEOUT)
    renewal = _limit(host, ("extensions", "serviceBus", "maxAutoLockRenewalDuration"), _LOCK_RENEWAL)
    for agent in agents:
        needed = agent.timeout + MARGIN
        _require(agent, needed, "functionTimeout", timeout)
        if agent.transport == "bus":
            _require(agent, needed, "extensions.serviceBus.maxAutoLockRenewalDuration", renewal)


def _require(agent: AgentSpec, needed: timedelta, setting: str, limit: timedelta | None) -> None:
    if limit is not None and needed > limit:
        raise ConfigurationError(
            f"agent {agent.name!r} may take {agent.timeout}, and needs {needed} with what goes with it: "
            f"{setting} in host.json allows {limit}"
        )


def _limit(host: Mapping[str, Any], path: tuple[str, ...], default: str) -> timedelta | None:
    value: Any = host
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if value == "-1":
        return None
    found = _TIME_SPAN.fullmatch(default if value is None else str(value))
    if found is None:
        raise ConfigurationError(f"{'.'.join(path)} in host.json is no time span such as 00:30:00: {value!r}")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
