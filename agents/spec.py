"""What makes an agent: a name, a way to do its work, and the limits within which it does it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import JsonValue

from agents.context import AgentContext
from shared import names
from shared.cards import AgentCard, EventSubscription
from shared.contracts import AgentInput
from shared.retry import DEFAULT_RETRIES, RetryPolicy

type Handler = Callable[[AgentContext, AgentInput], Awaitable[JsonValue]]

_QUEUE_ALLOWANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent.

    `handler` gets the input and returns the output; it raises a `RetryableError` when another attempt may help.
    `timeout` bounds one attempt. `transport` is `bus` (its own queue, isolation, scale) or `activity` (less latency).
    `subscribes` are the events that it reacts to, for which it has to be on the bus; `publishes` are the types of those
    that it may publish itself. An agent that `manages` gives the answer that a manager of others has to give.
    What an agent whose `effect` is `unsafe` does must not be done twice: where nobody can tell whether it was done,
    the step is parked for a person.
    One attempt makes at most `model_calls` calls, each with at most `prompt_tokens` besides the input, and at most
    `max_output_tokens` out (None: the setting); budgets are kept by these.
    """

    name: str
    description: str
    handler: Handler
    uses_model: bool = True
    timeout: timedelta = timedelta(seconds=120)
    retry: RetryPolicy = DEFAULT_RETRIES
    transport: Literal["bus", "activity"] = "bus"
    subscribes: tuple[EventSubscription, ...] = ()
    publishes: tuple[str, ...] = ()
    manages: bool = False
    effect: Literal["safe", "unsafe"] = "safe"
    model_calls: int = 1
    prompt_tokens: int = 4000
    max_output_tokens: int | None = None

    @property
    def step_timeout(self) -> timedelta:
        """How long a step of this agent may take in all: every attempt, the waits between, and a wait in its queue."""
        return self.timeout * self.retry.attempts + sum(self.retry.delays, timedelta()) + _QUEUE_ALLOWANCE

    def card(self) -> AgentCard:
        """What others may know of this agent. Raises pydantic's `ValidationError` when its name is not a legal one."""
        return AgentCard(
            name=self.name,
            description=self.description,
            transport=self.transport,
            queue=names.agent_queue(self.name) if self.transport == "bus" else None,
            timeout_seconds=self.timeout.total_seconds(),
            step_timeout_seconds=self.step_timeout.total_seconds(),
            uses_model=self.uses_model,
            subscribes=self.subscribes,
            publishes=self.publishes,
            manages=self.manages,
            model_calls=self.model_calls,
            prompt_tokens=self.prompt_tokens,
            max_output_tokens=self.max_output_tokens,
        )
