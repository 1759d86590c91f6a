"""The attributes of spans and metrics: their names, what each says, and which of them hold content.

What OpenTelemetry names already bears its names; the rest begins with `muster`. `docs/telemetry.md` shows the table,
which a test compares.

Source: OpenTelemetry's semantic conventions for generative AI (v1.41: spans, agent spans, metrics) and messaging.
"""

from collections.abc import Mapping

TASK_ID = "muster.task_id"
STEP_ID = "muster.step_id"
AGENT = "muster.agent"
PATTERN = "muster.pattern"
WORKFLOW = "muster.workflow"
STATUS = "muster.status"
FAULT_DOMAIN = "muster.fault_domain"
ATTEMPT = "muster.attempt"
COST_USD = "muster.cost_usd"
QUEUE_SECONDS = "muster.queue_seconds"
FROM_RECORD = "muster.from_record"
CIRCUIT = "muster.circuit"
ERROR_TYPE = "error.type"
EXCEPTION_MESSAGE = "exception.message"

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
RESPONSE_MODEL = "gen_ai.response.model"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
OUTPUT_TYPE = "gen_ai.output.type"
TOKENS_KIND = "gen_ai.token.type"
AGENT_NAME = "gen_ai.agent.name"
WORKFLOW_NAME = "gen_ai.workflow.name"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"

SERVER_ADDRESS = "server.address"
MESSAGING_SYSTEM = "messaging.system"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_OPERATION = "messaging.operation.type"
MESSAGE_ID = "messaging.message.id"

ATTRIBUTES: Mapping[str, str] = {
    TASK_ID: "The run's id.",
    STEP_ID: "The step's id within its run.",
    AGENT: "The agent that works, or is asked.",
    PATTERN: "The run's pattern; `agent` for a message that began a run of one step.",
    WORKFLOW: "The name under which the run was asked for, if not its pattern's.",
    STATUS: "How it stands afterwards: a run's status, a step's, or `retrying`, `held` or `unwanted`.",
    FAULT_DOMAIN: "Whose fault a failure is.",
    ATTEMPT: "Which attempt at the step it is, from 1.",
    COST_USD: "What it cost in US dollars; left out while a price is unknown.",
    QUEUE_SECONDS: "How long the message was in its queue, in seconds; of a step's first message only.",
    FROM_RECORD: "True when an earlier delivery had done the work, and it was only answered again.",
    CIRCUIT: "The circuit: `agent.` and an agent's name, or `model.` and an endpoint's host.",
    ERROR_TYPE: "The error's type, of those in `shared/errors.py` or of the agent's own.",
    EXCEPTION_MESSAGE: "The error's message, which may quote a model. Only when content is asked for.",
    OPERATION_NAME: "`invoke_workflow`, `invoke_agent` or `chat`.",
    PROVIDER_NAME: "The model's provider, as far as its endpoint tells: `openai`, `azure.ai.openai`, ...",
    REQUEST_MODEL: "The model that was asked for, or the deployment's name.",
    REQUEST_MAX_TOKENS: "The most tokens that the answer may have.",
    RESPONSE_MODEL: "The model that answered.",
    INPUT_TOKENS: "Tokens in.",
    OUTPUT_TOKENS: "Tokens out.",
    OUTPUT_TYPE: "`text`, or `json` when the answer has to follow a schema.",
    TOKENS_KIND: "`input` or `output`.",
    AGENT_NAME: "The agent's name.",
    WORKFLOW_NAME: "The workflow's name.",
    SYSTEM_INSTRUCTIONS: "The system prompt. Only when content is asked for.",
    INPUT_MESSAGES: "The prompt. Only when content is asked for.",
    OUTPUT_MESSAGES: "The answer. Only when content is asked for.",
    SERVER_ADDRESS: "The host that the model is at.",
    MESSAGING_SYSTEM: "`servicebus`.",
    MESSAGING_DESTINATION: "The queue, the topic, or `topic/subscription`.",
    MESSAGING_OPERATION: "`send`.",
    MESSAGE_ID: "The message's id.",
}
"""What each attribute says."""

CONTENT = frozenset({SYSTEM_INSTRUCTIONS, INPUT_MESSAGES, OUTPUT_MESSAGES, EXCEPTION_MESSAGE})
"""The attributes that may hold what people wrote or models answered. They leave only when a setting asks for them."""

OF_THE_RUN = (TASK_ID, STEP_ID, AGENT, PATTERN)
"""The attributes that spans within a span have, too, so that each can be found by its run."""
