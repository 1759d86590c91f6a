"""Every durable name in one place.

These strings are stored in queues, histories and documents that outlive a deployment. Changing one strands what
was written under the old name, so a new behaviour gets a new name and the old one stays until nothing bears it.
"""

import hashlib
from datetime import datetime

MAX_MESSAGE_ID = 128
"""The service's limit on a MessageId, in characters."""

COSMOS_RUNS = "runs"
"""The container with the runs; `infra/cosmos.json` defines it."""
COSMOS_MEMORY = "memory"
"""The container with what agents remember."""

SERVICE_BUS_CONNECTION = "ServiceBusConnection"

MAX_DELIVERIES = 3
"""How often a message is delivered before the broker makes it a dead letter."""

TRACEPARENT = "traceparent"
"""The message property with the context of the span that sent it; `DIAGNOSTIC_ID` is its older name. Both are set."""
DIAGNOSTIC_ID = "Diagnostic-Id"

START_QUEUE = "workflow-starts"

EVENT_DECISION = "decision"
"""The external event by which a person decides a vote that nobody won."""

ACTIVITY_BEGIN_RUN = "begin_run"
ACTIVITY_CALL_OFF = "call_off"
ACTIVITY_DISPATCH_AGENTS = "dispatch_agents"
ACTIVITY_PUBLISH_EVENTS = "publish_events"
ACTIVITY_RECORD_RUN = "record_run"
ACTIVITY_PLAN_UNDO = "plan_undo"
ORCHESTRATOR_CANCEL_RUN = "cancel_run"

CONTENT_PIPELINE = "content"
PARALLEL_RESEARCH = "research"

MAX_INSTANCE_ID = 100
"""The service's limit on an orchestration's instance id, in characters."""


def orchestrator(pattern: str) -> str:
    """The orchestrator of a pattern."""
    return _identifier(pattern)


def nested_instance(task_id: str, path: str) -> str:
    """The instance id of a pattern nested in a run. No run can have it, because a run's id holds no colon."""
    instance = f"{task_id}:{path}"
    return instance if len(instance) <= MAX_INSTANCE_ID else hashlib.sha256(instance.encode()).hexdigest()


def undo_step(step_id: str) -> str:
    """The step that undoes another. No other step's id begins so, because nodes' names have no capitals."""
    undo = f"{_UNDO}{step_id}"
    return undo if len(undo) <= _MAX_STEP_ID else _UNDO + hashlib.sha256(step_id.encode()).hexdigest()[:32]


def undoes(step_id: str) -> bool:
    """Whether a step is one that undoes another."""
    return step_id.startswith(_UNDO)


def cancel_instance(task_id: str) -> str:
    """The orchestration that ends a run which is being cancelled. No nested pattern's can have this id."""
    return nested_instance(task_id, "@cancel")


_UNDO = "Undo."
_MAX_STEP_ID = 64

EVENTS_TOPIC = "agent-events"
EVENTS_TO_AGENTS = "agents"
"""Where the events of runs are addressed to, which is what agents' subscriptions look for besides the type."""

OUTSIDE_EVENTS = "outside.events"
"""The subscription for every event that no run has published. No agent's name has a dot in it."""


def agent_queue(agent: str) -> str:
    """The Service Bus queue of an agent."""
    return f"{agent}-tasks"


def agent_function(agent: str) -> str:
    """The function that an agent's queue triggers."""
    return f"{_identifier(agent)}_queue"


def agent_events_function(agent: str) -> str:
    """The function that the events which an agent reacts to trigger."""
    return f"{_identifier(agent)}_events"


def agent_activity(agent: str) -> str:
    """The activity that runs the same agent without a queue."""
    return f"{_identifier(agent)}_activity"


def reply_event(step_id: str) -> str:
    """The external event by which an agent answers the orchestrator that waits for this step."""
    return f"agent-reply-{step_id}"


def message_id(task_id: str, step_id: str, attempt: int) -> str:
    """The MessageId of an agent's task, so that the queue's duplicate detection knows a repeated send."""
    return f"{task_id}:{step_id}:{attempt}"


def event_message_id(task_id: str, event_id: str) -> str:
    """The MessageId of a run's event, so that the topic's duplicate detection knows a repeated publication."""
    return _short_enough(f"{task_id}:{event_id}")


def copy_message_id(message_id: str, maker: str) -> str:
    """The MessageId of a copy of a message, made to be looked at later. `maker` names the delivery that makes it.

    It differs from the original's, and from that of every other copy: duplicate detection would take a copy under an
    id that it has seen for the message that it copies, and drop it. A copy that comes at once, because the queue's
    clock is ahead, is copied again in the same second, so no time tells them apart.
    """
    return _short_enough(f"{message_id}@{maker}")


REPLAY_OF = "muster-replay-of"
"""The message property that says of which dead letter a message is a copy; those beside it say who made it and when."""
REPLAYED_AT = "muster-replayed-at"
REPLAYED_BY = "muster-replayed-by"
REPLAYED_SHA256 = "muster-replayed-sha256"


def replay_message_id(letter: str, made_at: datetime) -> str:
    """The MessageId of a dead letter's copy: a fresh one, because its own would be taken for a repeat and dropped."""
    return _short_enough(f"{letter}@{int(made_at.timestamp() * 1000)}")


def _short_enough(message_id: str) -> str:
    return message_id if len(message_id) <= MAX_MESSAGE_ID else hashlib.sha256(message_id.encode()).hexdigest()


def _identifier(agent: str) -> str:
    return agent.replace("-", "_")
