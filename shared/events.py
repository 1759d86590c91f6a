"""Events on the topic: CloudEvents 1.0 in the JSON event format, and what a run adds to them.

`OutsideEvent` is what a producer puts on the topic, and becomes the first event of a run of its own. `Event` is what a
run's orchestrator publishes to the agents that react. Source: CloudEvents 1.0.2, its JSON event format and its naming
rules for extension attributes (https://github.com/cloudevents/spec).
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from shared import names
from shared.contracts import (
    AgentInput,
    AgentTask,
    ArtifactRef,
    Budget,
    Contract,
    EventType,
    GivenData,
    JsonData,
    MaybeSession,
    MaybeTenant,
    ReplyTo,
    StepId,
    TaskId,
)
from shared.errors import InvalidMessage

EVENT_CONTENT = "application/cloudevents+json"
_JSON_CONTENT = "application/json"
MAX_HOPS = 32
"""The most hops that a run may allow."""
MAX_EVENTS_OF_A_RUN = 500
"""The most events that a run may allow."""

DATA_RECEIVED = "DataReceived"
ANALYSIS_COMPLETED = "AnalysisCompleted"
NOTIFICATION_READY = "NotificationReady"
"""The event types of the ready-made agents. Others need no entry here: an agent's spec names its own."""

Attribute = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_EXTENSION_NAME = re.compile(r"[a-z0-9]{1,20}")


class EventLimits(Contract):
    """How far a run's events may lead: hops from its first event, and events in all, the first one included."""

    max_hops: int = Field(default=8, ge=0, le=MAX_HOPS)
    max_events: int = Field(default=50, ge=1, le=MAX_EVENTS_OF_A_RUN)


class CloudEvent(Contract):
    """The context attributes that every event has. `data` is JSON; a text is a string."""

    specversion: Literal["1.0"]
    id: Attribute
    source: Attribute
    type: EventType
    subject: Attribute | None = None
    time: AwareDatetime | None = None
    datacontenttype: Annotated[str, Field(max_length=100)] | None = None
    dataschema: Attribute | None = None
    data: JsonData = None


class Event(CloudEvent):
    """An event of a run.

    `rootid` is the run, which is the first cause; `hop` counts the events from the first (0) to this one;
    `causationid` is the event whose reaction published this one. `reactors` are the agents that are asked to react,
    separated by spaces: another that receives the event has been cut off, or has come since. `replyto` is the instance
    that waits for the reactions, until `deadline`; each may use `maxtokens` of output, and where a budget is kept it
    has `paidattempts` that cost something. `origin` is the source of an event from outside, and `memorytenant` and
    `memorysession` say whose memory the reactions use. When the data is too large for a message, the reactions' input
    lies in the artifact store at `inputref`, and has `inputsize` bytes.
    """

    id: StepId
    rootid: TaskId
    hop: Annotated[int, Field(ge=0, le=MAX_HOPS)]
    causationid: StepId | None = None
    reactors: Annotated[str, Field(max_length=20_000)] = ""
    replyto: TaskId
    deadline: AwareDatetime | None = None
    maxtokens: Annotated[int, Field(ge=1)] | None = None
    paidattempts: Annotated[int, Field(ge=1)] | None = None
    origin: Attribute | None = None
    memorytenant: MaybeTenant = None
    memorysession: MaybeSession = None
    inputref: Attribute | None = None
    inputsize: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _is_the_first_or_has_a_cause(self) -> Self:
        if (self.hop == 0) is not (self.causationid is None):
            raise ValueError("causationid: every event but the one at hop 0 has one")
        return self

    def asks(self, agent: str) -> bool:
        """Whether `agent` is asked to react."""
        return agent in self.reactors.split()


_OF_RUNS = frozenset(Event.model_fields) - frozenset(CloudEvent.model_fields)


class OutsideEvent(CloudEvent):
    """An event of a producer who knows nothing of runs. Its extension attributes are read and not passed on."""

    data: GivenData = None
    extensions: dict[str, str | int | bool] = Field(default_factory=dict, max_length=20)

    @model_validator(mode="before")
    @classmethod
    def _gather_extensions(cls, value: Any) -> Any:
        """Gather what stands beside the standard attributes; an attribute of runs, or no legal one, is refused."""
        if not isinstance(value, dict):
            return value
        beside = {name: item for name, item in value.items() if name not in CloudEvent.model_fields}
        for name in beside:
            if name in _OF_RUNS:
                raise ValueError(f"{str(name)[:50]}: only a run may give an event this attribute")
            if name == "data_base64":
                raise ValueError("data_base64: agents work on JSON and text; send it as data")
            if not isinstance(name, str) or not _EXTENSION_NAME.fullmatch(name):
                raise ValueError(f"{str(name)[:50]}: an extension attribute has 1 to 20 of a-z and 0-9 in its name")
        return {name: item for name, item in value.items() if name not in beside} | {"extensions": beside}


def parse_event[E: CloudEvent](contract: type[E], body: bytes) -> E:
    """The event in a message's body. Raises `InvalidMessage`, which names the attribute."""
    try:
        return contract.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise InvalidMessage(f"a message on the topic is no event: {f'{where}: ' if where else ''}{said}") from None


def reaction_step_id(event_id: str, agent: str) -> str:
    """The id of the step in which `agent` reacts to an event of the run."""
    return f"{event_id}.{agent}"


def reaction_input(event: Event) -> AgentInput:
    """What the agents that react to `event` are given of it."""
    shown = {
        "type": event.type,
        "source": event.origin or event.source,
        "subject": event.subject,
        "time": event.time.isoformat() if event.time else None,
        "data": event.data,
    }
    return AgentInput(request={"event": {name: item for name, item in shown.items() if item is not None}})


def reaction_task(event: Event, agent: str) -> AgentTask:
    """The task that is `agent`'s reaction to `event`.

    It is the same for every delivery, so that a repeated one finds the step's claim or its record.
    """
    step_id = reaction_step_id(event.id, agent)
    given: AgentInput | ArtifactRef = reaction_input(event)
    if event.inputref is not None:
        given = ArtifactRef(address=event.inputref, size=event.inputsize, content_type=_JSON_CONTENT)
    return AgentTask(
        task_id=event.rootid,
        step_id=step_id,
        agent=agent,
        input=given,
        deadline=event.deadline,
        reply_to=ReplyTo(instance_id=event.replyto, event=names.reply_event(step_id)),
        budget=Budget(max_output_tokens=event.maxtokens, paid_attempts=event.paidattempts),
        tenant=event.memorytenant,
        session=event.memorysession,
    )
