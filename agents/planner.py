"""The planner agent: divides a goal among the agents there are, as a plan that is checked before anybody follows it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, create_model

from agents.context import AgentContext
from agents.prompting import prompt_tokens, system_prompt, user_message
from agents.spec import AgentSpec
from shared.contracts import AgentInput
from shared.errors import InvalidRequest
from shared.plans import MAX_TASKS, Plan, PlanningRequest

_TASK_ID: Any = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
_INSTRUCTION: Any = Annotated[str, Field(min_length=1, max_length=4000)]

SYSTEM = system_prompt(
    role="You plan the work of a team of agents. You are known for plans with no task too many.",
    task=(
        "Divide the goal among the agents listed in the request. Give an agent only what its description says that"
        " it can do, and write each instruction so that somebody who reads nothing else knows what to make and when"
        " it is done. Use `needs` where a task cannot begin without another's result, and nowhere else: what does not"
        " wait is done at the same time. Put tasks whose results belong together under a manager, an agent marked"
        " `manages`, which checks and merges them; a goal that one or two agents can reach needs no manager. Keep"
        " within the limits. When the outputs hold an earlier plan of yours with reasons why it was refused, mend"
        " every one of them and change nothing else."
    ),
    output=(
        "A plan as JSON: `tasks`, each with an `id` (lower-case letters, digits and hyphens), the `agent`, its"
        " `instruction`, its `manager` (the id of the manager's own task, or null for the top level) and its `needs`"
        " (ids of tasks under the same manager; may be empty)."
    ),
)


async def plan(context: AgentContext, given: AgentInput) -> JsonValue:
    """A plan for the request's goal, as the JSON of a `Plan`; whether it can be carried out is for others to check.

    Raises `InvalidRequest` for a request that is no `PlanningRequest`.
    """
    try:
        asked = PlanningRequest.model_validate(given.request)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("input.request", *first["loc"]))
        raise InvalidRequest(f"{where}: nothing to plan: {first['msg']}", field=where) from None
    form = await context.ask_for(plan_form(asked), SYSTEM, user_message(given))
    filled: JsonValue = form.model_dump(mode="json")
    return filled


def plan_form(asked: PlanningRequest) -> type[BaseModel]:
    """The form of a plan in which only the agents that there are can be named."""
    agents: Any = Literal[*[agent.name for agent in asked.agents]]
    forbid = ConfigDict(extra="forbid")
    task = create_model(
        "PlannedTask",
        __config__=forbid,
        id=(_TASK_ID, ...),
        agent=(agents, ...),
        instruction=(_INSTRUCTION, ...),
        manager=(str | None, ...),
        needs=(list[str], ...),
    )
    items: Any = list.__class_getitem__(task)
    tasks: Any = Annotated[items, Field(min_length=1, max_length=MAX_TASKS)]
    return create_model("Plan", __config__=forbid, tasks=(tasks, ...))


PLANNER = AgentSpec(
    name="planner",
    description="Divides a goal among the agents there are, as a plan of tasks, managers and what waits for what.",
    handler=plan,
    model_calls=2,
    prompt_tokens=prompt_tokens(SYSTEM, Plan),
)
