"""An orchestration as a test looks at it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from durabletask.client import OrchestrationState, OrchestrationStatus

_OVER = frozenset({OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED})


@dataclass(frozen=True, slots=True)
class RunState:
    """Where an orchestration stands. `status` is `RUNNING`, `COMPLETED`, ...; values are parsed JSON."""

    id: str
    name: str
    status: str
    is_over: bool
    created_at: datetime
    updated_at: datetime
    input: Any
    output: Any
    custom_status: Any
    failure: str | None


def run_state(state: OrchestrationState) -> RunState:
    """The SDK's state, its payloads parsed."""
    return RunState(
        id=state.instance_id,
        name=state.name,
        status=state.runtime_status.name,
        is_over=state.runtime_status in _OVER,
        created_at=state.created_at,
        updated_at=state.last_updated_at,
        input=_parsed(state.serialized_input),
        output=_parsed(state.serialized_output),
        custom_status=_parsed(state.serialized_custom_status),
        failure=state.failure_details.message if state.failure_details else None,
    )


def _parsed(text: str | None) -> Any:
    return json.loads(text) if text else None
