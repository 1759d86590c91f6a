"""What spans about operations of entities have in common, at the caller and at the entity: `entity:NAME:OPERATION`.

The protocol carries a trace context to an operation, but not from its caller to the entity. So the caller's span has an
id that follows from the call's own, and both ends know it. A signal says nothing of its sender.
"""

from typing import Final

from durabletask.entities import EntityInstanceId
from durabletask.internal import tracing as sdk

from devhost.telemetry.spans import Attributes
from devhost.telemetry.trace_context import derived_span_id

ENTITY: Final = "entity"
_OPERATION: Final = "durabletask.entity.operation"


def call_span_id(request_id: str) -> int:
    """The id of the span of an orchestrator's call, which the operation's span has for its parent."""
    return derived_span_id(ENTITY, request_id)


def operation_name(entity_id: str, operation: str) -> str:
    """The name of a span about an operation of the entity `@name@key`."""
    return sdk.create_span_name(ENTITY, f"{_name(entity_id)}:{operation}")


def operation_attributes(entity_id: str, operation: str) -> Attributes:
    """What a span about an operation of the entity `@name@key` says."""
    return {sdk.ATTR_TASK_TYPE: ENTITY, sdk.ATTR_TASK_NAME: _name(entity_id), _OPERATION: operation}


def _name(entity_id: str) -> str:
    try:
        return EntityInstanceId.parse(entity_id).entity
    except ValueError:
        # An orchestrator may call what is no entity, which is then never answered.
        return entity_id
