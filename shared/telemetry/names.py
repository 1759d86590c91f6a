"""Every name under which telemetry leaves: spans and metrics, with their attributes and units.

Dashboards, queries and alerts are written against these. What OpenTelemetry names already bears its names; the rest
begins with `muster`. `docs/telemetry.md` shows these tables, which a test compares.

Source: OpenTelemetry's semantic conventions for generative AI (v1.41: spans, agent spans, metrics) and messaging.
"""

from dataclasses import dataclass
from typing import Literal

from shared.telemetry.attributes import (
    AGENT,
    AGENT_NAME,
    ATTEMPT,
    CIRCUIT,
    COST_USD,
    ERROR_TYPE,
    EXCEPTION_MESSAGE,
    FAULT_DOMAIN,
    FROM_RECORD,
    INPUT_MESSAGES,
    INPUT_TOKENS,
    MESSAGE_ID,
    MESSAGING_DESTINATION,
    MESSAGING_OPERATION,
    MESSAGING_SYSTEM,
    OPERATION_NAME,
    OUTPUT_MESSAGES,
    OUTPUT_TOKENS,
    OUTPUT_TYPE,
    PATTERN,
    PROVIDER_NAME,
    QUEUE_SECONDS,
    REQUEST_MAX_TOKENS,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    SERVER_ADDRESS,
    STATUS,
    STEP_ID,
    SYSTEM_INSTRUCTIONS,
    TASK_ID,
    TOKENS_KIND,
    WORKFLOW,
    WORKFLOW_NAME,
)

SERVICE = "muster"
"""The service, unless `OTEL_SERVICE_NAME` or the platform gives another name; also the tracer and the meter."""

# -- spans ------------------------------------------------------------------------------------------------------

type Kind = Literal["internal", "client", "producer", "consumer"]


@dataclass(frozen=True, slots=True)
class SpanName:
    """A kind of span. `template` is its name, in which the words in braces differ from span to span."""

    template: str
    kind: Kind
    description: str
    attributes: tuple[str, ...]

    def of(self, subject: str) -> str:
        """The name of the span about `subject`."""
        return f"{self.template.partition('{')[0]}{subject}"


_FAILURE = (ERROR_TYPE, FAULT_DOMAIN, EXCEPTION_MESSAGE)

START_RUN = SpanName(
    "start_run {workflow}",
    "internal",
    "A run is begun: its document is written and its orchestration scheduled.",
    (TASK_ID, PATTERN, WORKFLOW, *_FAILURE),
)
SEND = SpanName(
    "send {queue}",
    "producer",
    "A message is sent to an agent's queue, or an event to the topic. Its context travels with the message.",
    (
        TASK_ID,
        STEP_ID,
        AGENT,
        MESSAGING_SYSTEM,
        MESSAGING_DESTINATION,
        MESSAGING_OPERATION,
        MESSAGE_ID,
        *_FAILURE,
    ),
)
INVOKE_AGENT = SpanName(
    "invoke_agent {agent}",
    "internal",
    "One delivery of a step to its agent: the claim, the attempt, the record and the answer.",
    (
        TASK_ID,
        STEP_ID,
        AGENT,
        ATTEMPT,
        STATUS,
        FROM_RECORD,
        QUEUE_SECONDS,
        OPERATION_NAME,
        AGENT_NAME,
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        COST_USD,
        *_FAILURE,
    ),
)
CHAT = SpanName(
    "chat {model}",
    "client",
    "One call of a model.",
    (
        TASK_ID,
        STEP_ID,
        AGENT,
        OPERATION_NAME,
        PROVIDER_NAME,
        REQUEST_MODEL,
        REQUEST_MAX_TOKENS,
        RESPONSE_MODEL,
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        OUTPUT_TYPE,
        COST_USD,
        SERVER_ADDRESS,
        *_FAILURE,
        SYSTEM_INSTRUCTIONS,
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
    ),
)
REPLY = SpanName(
    "reply {agent}",
    "client",
    "The agent's answer is given to the orchestration that waits for it.",
    (TASK_ID, STEP_ID, AGENT, STATUS, *_FAILURE),
)
INVOKE_WORKFLOW = SpanName(
    "invoke_workflow {workflow}",
    "internal",
    "The whole run, from its document's creation to its recorded end; it leaves when the end is recorded.",
    (
        TASK_ID,
        PATTERN,
        WORKFLOW,
        STATUS,
        OPERATION_NAME,
        WORKFLOW_NAME,
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        COST_USD,
        *_FAILURE,
    ),
)

SPANS = (START_RUN, SEND, INVOKE_AGENT, CHAT, REPLY, INVOKE_WORKFLOW)
"""Every kind of span, in the order in which a run has them."""

# -- metrics ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MetricName:
    """A metric. `buckets` are the upper bounds of a histogram's buckets."""

    name: str
    instrument: Literal["counter", "histogram", "gauge"]
    unit: str
    description: str
    attributes: tuple[str, ...]
    buckets: tuple[float, ...] = ()


_MODEL = (OPERATION_NAME, PROVIDER_NAME, REQUEST_MODEL, RESPONSE_MODEL, SERVER_ADDRESS, AGENT)
_MODEL_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

RUN_DURATION = MetricName(
    "muster.run.duration",
    "histogram",
    "s",
    "From a run's creation to its recorded end.",
    (PATTERN, WORKFLOW, STATUS, ERROR_TYPE, FAULT_DOMAIN),
    _SECONDS,
)
STEP_DURATION = MetricName(
    "muster.step.duration",
    "histogram",
    "s",
    "The attempt that ended a step.",
    (AGENT, STATUS, ERROR_TYPE, FAULT_DOMAIN),
    _SECONDS,
)
STEP_QUEUE_WAIT = MetricName(
    "muster.step.queue_wait",
    "histogram",
    "s",
    "From the queue to the step's first attempt.",
    (AGENT,),
    _SECONDS,
)
TOKEN_USAGE = MetricName(
    "gen_ai.client.token.usage",
    "histogram",
    "{token}",
    "Tokens in and out of one model call.",
    (*_MODEL, TOKENS_KIND),
    _TOKENS,
)
OPERATION_DURATION = MetricName(
    "gen_ai.client.operation.duration",
    "histogram",
    "s",
    "One model call.",
    (*_MODEL, ERROR_TYPE),
    _MODEL_SECONDS,
)
COST = MetricName(
    "muster.cost",
    "counter",
    "USD",
    "What steps cost, as recorded when an attempt ends; calls whose price is unknown are not in it.",
    (AGENT, RESPONSE_MODEL),
)
RETRIES = MetricName(
    "muster.retries",
    "counter",
    "{attempt}",
    "Attempts after a step's first, with the error of the one before.",
    (AGENT, ERROR_TYPE, FAULT_DOMAIN),
)
DEAD_LETTERS = MetricName(
    "muster.dead_letters",
    "counter",
    "{message}",
    "Messages given back at their last delivery, which the broker then moves to the dead-letter queue.",
    (MESSAGING_DESTINATION, AGENT, ERROR_TYPE, FAULT_DOMAIN),
)
CIRCUIT_STATE = MetricName(
    "muster.circuit.state",
    "gauge",
    "1",
    "A circuit that ever changed: 0 closed, 1 half open, 2 open.",
    (CIRCUIT,),
)
CALLS_REPEATED = MetricName(
    "muster.calls_repeated",
    "counter",
    "{attempt}",
    "Attempts made again although a model may have answered the one before: they may be paid for twice.",
    (AGENT,),
)

METRICS = (
    RUN_DURATION,
    STEP_DURATION,
    STEP_QUEUE_WAIT,
    TOKEN_USAGE,
    OPERATION_DURATION,
    COST,
    RETRIES,
    DEAD_LETTERS,
    CIRCUIT_STATE,
    CALLS_REPEATED,
)
"""Every metric."""
