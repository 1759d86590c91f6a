"""An agent's card: what everybody else in the app may know of it."""

from typing import Literal

from pydantic import Field

from shared.contracts import AgentName, Contract, EventType


class EventSubscription(Contract):
    """That an agent reacts to events of a type; `may_repeat` also to those that its own reactions led to."""

    type: EventType
    may_repeat: bool = False


class Rates(Contract):
    """What a model costs: US dollars for a million tokens in and out."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class AgentCard(Contract):
    """What others may know of an agent. `timeout_seconds` bounds one attempt, `step_timeout_seconds` the whole step.

    `subscribes` and `publishes` are its event types; an agent that `manages` reviews and merges the work of others.

    What a step may cost is bounded: it makes at most `model_calls` calls, each with `prompt_tokens`
    besides its input and at most `max_output_tokens` out. None leaves it to the app's settings; `rates` are None when
    the model's price is unknown.
    """

    name: AgentName
    description: str
    transport: Literal["bus", "activity"]
    queue: str | None
    timeout_seconds: float = Field(gt=0)
    step_timeout_seconds: float = Field(gt=0)
    uses_model: bool
    subscribes: tuple[EventSubscription, ...] = ()
    publishes: tuple[EventType, ...] = ()
    manages: bool = False
    model_calls: int = Field(default=1, ge=1)
    prompt_tokens: int = Field(default=0, ge=0)
    max_output_tokens: int | None = Field(default=None, ge=1)
    rates: Rates | None = None
