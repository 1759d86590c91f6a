"""The notifier agent: writes the message that people get about an event. It sends nothing itself.

What it wrote is published as `NotificationReady`, so that whatever delivers messages (a mail or chat connector, a
pager) has only to subscribe to that type on the topic.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agents.context import AgentContext
from agents.prompting import prompt_tokens, system_prompt, user_message
from agents.spec import AgentSpec
from shared.cards import EventSubscription
from shared.contracts import AgentInput
from shared.events import ANALYSIS_COMPLETED, DATA_RECEIVED, NOTIFICATION_READY

SYSTEM = system_prompt(
    role="You write the notifications of an operations team, read on a phone, at night, by somebody half awake.",
    task=(
        "Write one notification about the event in the request. Say first what happened, then what it means for the"
        " reader, then what to do, if anything; give the values and names that the event gives, unrounded, and no"
        " others. An analysis that has low confidence is not told as a certainty. Choose the urgency by what the"
        " event says, not by how it says it: `act` only when somebody has to do something now, `look` when it can"
        " wait for the morning, `know` for everything else."
    ),
    output=(
        "JSON. `title`: at most 80 characters, no exclamation mark. `body`: at most 500 characters of plain text."
        " `urgency`: know, look or act. `reason`: in one sentence, why that urgency."
    ),
)


class Notification(BaseModel):
    """A message to people about one event."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(max_length=80)
    body: str = Field(max_length=500)
    urgency: Literal["know", "look", "act"]
    reason: str


async def notify(context: AgentContext, given: AgentInput) -> JsonValue:
    """A notification about the event in the request, as the JSON of a `Notification`; published for who delivers it."""
    notification = (await context.ask_for(Notification, SYSTEM, user_message(given))).model_dump(mode="json")
    context.publish(NOTIFICATION_READY, notification)
    return notification


NOTIFIER = AgentSpec(
    name="notifier",
    description="Writes the notification about an event and publishes it for what delivers it; sends nothing itself.",
    handler=notify,
    model_calls=2,
    prompt_tokens=prompt_tokens(SYSTEM, Notification),
    subscribes=(EventSubscription(type=DATA_RECEIVED), EventSubscription(type=ANALYSIS_COMPLETED)),
    publishes=(NOTIFICATION_READY,),
)
