"""The planner agent: divides a goal among the agents there are, as a plan that is checked before anybody follows it."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model

from agents.context import AgentContext
from agents.forms import read_form
from agents.prompting import prompt_tokens, system_prompt, user_message
from agents.spec import AgentSpec
from shared.contracts import AgentInput
from shared.plans import MAX_TASKS, Plan, PlanningRequest

_ID: Any = Annotated[str, Field(min_length=1, max_length=80)]
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
        "A plan as JSON: `task`, the first, and `further_tasks`, the others, or none. Each has an `id` (lower-case"
        " letters, digits and hyphens), the `agent`, its `instruction`, its `manager` (the id of the manager's own"
        " task, or null for the top level) and its `needs` (ids of tasks under the same manager, or none)."
    ),
)


async def plan(context: AgentContext, given: AgentInput) -> JsonValue:
    """A plan for the request's goal, as the JSON of a `Plan`; whether it can be carried out is for others to check.

    Raises `InvalidRequest` for a request that is no `PlanningRequest`.
    """
    asked = read_form(given, PlanningRequest, "nothing to plan")
    form: Any = await context.ask_for(plan_form(asked), SYSTEM, user_message(given))
    tasks: list[JsonValue] = [_with_plain_ids(task.model_dump()) for task in (form.task, *form.further_tasks)]
    return {"tasks": tasks}


def plan_form(asked: PlanningRequest) -> type[BaseModel]:
    """The form of a plan in which only the agents that there are can be named."""
    agents: Any = Literal[*[agent.name for agent in asked.agents]]
    forbid = ConfigDict(extra="forbid")
    task = create_model(
        "PlannedTask",
        __config__=forbid,
        id=(_ID, ...),
        agent=(agents, ...),
        instruction=(_INSTRUCTION, ...),
        manager=(str | None, ...),
        needs=(list[str], ...),
    )
    # Strict modes cannot ask for a list with something in it, so the first task stands alone.
    further: Any = Annotated[list.__class_getitem__(task), Field(max_length=MAX_TASKS - 1)]
    return create_model("Plan", __config__=forbid, task=(task, ...), further_tasks=(further, ...))


def _with_plain_ids(task: dict[str, Any]) -> dict[str, Any]:
    """A task whose ids are written as ids of tasks are: strict modes cannot ask for that either."""
    manager = task["manager"]
    return {
        **task,
        "id": plain_id(task["id"]),
        "manager": None if manager is None else plain_id(manager),
        "needs": [plain_id(need) for need in task["needs"]],
    }


def plain_id(text: str) -> str:
    """An id with everything but lower-case letters and digits as single hyphens, cut to 20 characters: `Step 1` is
    `step-1`.
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:20].rstrip("-") or "task"


PLANNER = AgentSpec(
    name="planner",
    description="Divides a goal among the agents there are, as a plan of tasks, managers and what waits for what.",
    handler=plan,
    model_calls=2,
    prompt_tokens=prompt_tokens(SYSTEM, Plan),
)
