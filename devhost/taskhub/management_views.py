"""How orchestrations and entities look in the Durable management API's answers."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from azure.durable_functions.internal.compat.history_projection import project_history
from durabletask.client import OrchestrationState, OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.history import HistoryEvent
from durabletask.internal import orchestrator_service_pb2 as pb

STATUS_NAMES: Final = {
    OrchestrationStatus.RUNNING: "Running",
    OrchestrationStatus.COMPLETED: "Completed",
    OrchestrationStatus.FAILED: "Failed",
    OrchestrationStatus.TERMINATED: "Terminated",
    OrchestrationStatus.CONTINUED_AS_NEW: "ContinuedAsNew",
    OrchestrationStatus.PENDING: "Pending",
    OrchestrationStatus.SUSPENDED: "Suspended",
}


def instance_view(
    state: OrchestrationState, *, show_input: bool, history: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The body for one orchestration. A failed one has its error, as type and message, for output."""
    failure = state.failure_details
    failed = f"{failure.error_type}: {failure.message}" if failure is not None else None
    return {
        "name": state.name,
        "instanceId": state.instance_id,
        "runtimeStatus": STATUS_NAMES[state.runtime_status],
        "input": _payload(state.serialized_input) if show_input else None,
        "customStatus": _payload(state.serialized_custom_status),
        "output": failed or _payload(state.serialized_output),
        "createdTime": _to_the_second(state.created_at),
        "lastUpdatedTime": _to_the_second(state.last_updated_at),
        "historyEvents": history,
    }


def history_view(events: list[HistoryEvent], *, show_input: bool, show_output: bool) -> list[dict[str, Any]]:
    """The history as the SDK itself projects it for status queries."""
    return project_history(events, show_input=show_input, show_history_output=show_output)


def entity_view(entity: pb.EntityMetadata, *, with_state: bool) -> dict[str, Any]:
    """One entity of a listing."""
    identity = EntityInstanceId.parse(entity.instanceId)
    return {
        "entityId": {"name": identity.entity, "key": identity.key},
        "lastOperationTime": _to_the_second(entity.lastModifiedTime.ToDatetime()),
        "state": _payload(entity.serializedState.value) if with_state else None,
    }


def _payload(text: str | None) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _to_the_second(when: datetime) -> str:
    utc = when.astimezone(UTC) if when.tzinfo else when
    return f"{utc:%Y-%m-%dT%H:%M:%S}Z"
