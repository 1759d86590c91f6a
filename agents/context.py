"""What an agent may use while it runs: a model whose use is counted, artifacts, memory, and events to publish."""

import asyncio
import json
from collections.abc import Collection
from datetime import timedelta

from pydantic import BaseModel, JsonValue, ValidationError

from agents.inert import inert
from agents.memory import AgentMemory, MemoryRules
from shared.contracts import MAX_EVENTS, AgentTask, ArtifactRef, EventDraft, Usage
from shared.errors import AgentOutputInvalid, ConfigurationError, ModelAnswerInvalid, NoUsableAnswer
from shared.llm.model import AnswerFormat, ModelRequest
from shared.llm.schema import answer_format
from shared.resources import Resources

_MEND = (
    "Your last answer, in <rejected>, was refused because it breaks the schema:\n{reasons}\nAnswer the request again,"
    " with these faults mended. JSON only."
)
SHOWN_AGAIN = 8000
"""How many bytes of an answer to be mended are shown to the model again."""
MAX_SCHEMA_BYTES = 2000
"""The longest schema that an answer may be asked for by: budgets set aside as much for it."""

_REASONS = 5
MAX_EVENT_BYTES = 64 * 1024
"""How large the events of one attempt may be together: they travel with its answer."""


class AgentContext:
    """One attempt's view of the world. `usage` is the sum over the model calls made so far, `events` what to publish.

    `asked_model` says that a model call was begun, whatever came of it.

    `memory` is what agents of the task's tenant remember. `publishes` are the event types that the agent may publish.
    """

    def __init__(
        self,
        task: AgentTask,
        resources: Resources,
        *,
        model_timeout: timedelta,
        max_output_tokens: int,
        publishes: Collection[str] = (),
    ) -> None:
        self.usage = Usage()
        self.asked_model = False
        self.events: tuple[EventDraft, ...] = ()
        rules = MemoryRules.of(resources.settings, resources.embedder)
        self.memory = AgentMemory(resources.memory, resources.clock, task, rules, spent=self._spend)
        self._run = task.task_id
        self._publishes = publishes
        self._model = resources.model
        self._artifacts = resources.artifacts
        self._timeout = model_timeout
        self._max_output_tokens = max_output_tokens

    async def ask(self, system: str, user: str) -> str:
        """The model's answer to one request; its tokens and cost are added to `usage`.

        Raises what `ModelClient.complete` raises.
        """
        return await self._ask(system, user)

    async def ask_for[M: BaseModel](self, contract: type[M], system: str, user: str) -> M:
        """The model's answer as a `contract`. An answer that is none is sent back once, with the reasons, to be mended.

        Raises what `ModelClient.complete` raises, `ModelAnswerInvalid` when the second answer is none either, and
        `ConfigurationError` for a contract whose schema is over `MAX_SCHEMA_BYTES`.
        """
        wanted = answer_format(contract)
        if (size := len(json.dumps(wanted.schema))) > MAX_SCHEMA_BYTES:
            raise ConfigurationError(f"the schema of {contract.__name__} has {size} bytes, over {MAX_SCHEMA_BYTES}")
        answer = await self._ask(system, user, wanted)
        try:
            return contract.model_validate_json(_unfenced(answer))
        except ValidationError as error:
            reasons = _reasons(error)
        again = f"{user}\n\n<rejected>\n{inert(_beginning(answer))}\n</rejected>\n\n{_MEND.format(reasons=reasons)}"
        answer = await self._ask(system, again, wanted)
        try:
            return contract.model_validate_json(_unfenced(answer))
        except ValidationError as error:
            name = contract.__name__
            raise ModelAnswerInvalid(f"the answer is no {name}, nor was it when mended: {_reasons(error)}") from None

    async def _ask(self, system: str, user: str, wanted: AnswerFormat | None = None) -> str:
        request = ModelRequest(
            system=system,
            user=user,
            max_output_tokens=self._max_output_tokens,
            timeout=self._timeout,
            format=wanted,
        )
        self.asked_model = True
        try:
            reply = await self._model.complete(request)
        except NoUsableAnswer as error:
            self._spend(error.usage or Usage())
            raise
        except asyncio.CancelledError:
            # What became of a call that is broken off nobody knows: it may be answered, and unknown is not free.
            self._spend(Usage(cost_usd=None))
            raise
        self._spend(reply.usage)
        return reply.text

    def _spend(self, usage: Usage) -> None:
        self.usage = self.usage.plus(usage)

    async def keep(self, text: str, content_type: str) -> ArtifactRef:
        """Store `text` as an artifact of this run. Raises `ArtifactTooLarge` and `StoreUnavailable`."""
        return await self._artifacts.put(text.encode(), content_type, run=self._run)

    def publish(self, event_type: str, data: JsonValue, *, subject: str | None = None) -> None:
        """Want an event published once this attempt has succeeded; in runs that are not event-driven it is only kept.

        Raises `AgentOutputInvalid` for a type that the agent's spec does not name, for data that is no JSON, and for
        more than `MAX_EVENTS` events or `MAX_EVENT_BYTES` of them.
        """
        if event_type not in self._publishes:
            raise AgentOutputInvalid(f"the agent may not publish {event_type!r}: its spec does not say so")
        if len(self.events) == MAX_EVENTS:
            raise AgentOutputInvalid(f"the agent wants more than {MAX_EVENTS} events published")
        try:
            self.events += (EventDraft(type=event_type, data=data, subject=subject),)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise AgentOutputInvalid(f"an event {event_type} cannot be published: {first['msg']}") from None
        size = sum(len(event.model_dump_json().encode()) for event in self.events)
        if size > MAX_EVENT_BYTES:
            raise AgentOutputInvalid(f"the agent wants {size} bytes of events published: keep large data as artifacts")


def _unfenced(answer: str) -> str:
    """The answer without the code fence that models without a strict mode like to put around JSON."""
    text = answer.strip()
    if text.startswith("```") and text.endswith("```"):
        return text.removeprefix("```json").removeprefix("```").removesuffix("```")
    return text


def _beginning(answer: str) -> str:
    """As much of an answer as budgets set something aside for, whatever its alphabet."""
    return answer.encode()[:SHOWN_AGAIN].decode(errors="ignore")


def _reasons(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)[:_REASONS]
    return "\n".join(
        f"- {'.'.join(str(part) for part in each['loc']) or 'the answer'}: {each['msg']}" for each in found
    )
