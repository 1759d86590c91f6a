"""Agents that manage others: they review what their team made, send back what is weak, and merge the rest."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agents.context import AgentContext
from agents.output import INLINE_BYTES, TEXT
from agents.prompting import prompt_tokens, system_prompt, user_message
from agents.spec import AgentSpec
from shared.artifacts.references import refer
from shared.contracts import AgentInput

REVIEW = (
    "A review as JSON. `rework`: the parts that are not good enough to be used, each with the `part`'s name as it is"
    " listed in the request, and a `comment` that says exactly what to mend; empty when all are good enough, and"
    " always empty when the request says `last_round`. `merged`: the accepted parts merged into one text in Markdown,"
    " without a word about the review itself. A part that is missing is not made up: where it leaves a gap, the text"
    " says so."
)


class _Rework(BaseModel):
    model_config = ConfigDict(extra="forbid")

    part: str
    comment: str = Field(min_length=1, max_length=4000)


class ReviewForm(BaseModel):
    """What the model fills in: what has to be mended first, then the merged text."""

    model_config = ConfigDict(extra="forbid")

    rework: list[_Rework] = Field(max_length=100)
    merged: str = Field(min_length=1)


def manager_agent(*, name: str, description: str, role: str, task: str, **limits: Any) -> AgentSpec:
    """An agent that answers with a `TeamReview`: `role` says who it is, `task` what it looks for and how it merges."""
    system = system_prompt(role=role, task=task, output=REVIEW)

    async def handler(context: AgentContext, given: AgentInput) -> JsonValue:
        form = await context.ask_for(ReviewForm, system, user_message(given))
        parts = parts_of(given.request)
        rework: list[JsonValue] = [each.model_dump() for each in form.rework if each.part in parts]
        return {"rework": rework, "merged": await _kept_if_long(form.merged, context)}

    prompt = prompt_tokens(system, ReviewForm)
    return AgentSpec(
        name=name,
        description=description,
        handler=handler,
        manages=True,
        **{"model_calls": 2, "prompt_tokens": prompt, **limits},
    )


async def _kept_if_long(merged: str, context: AgentContext) -> JsonValue:
    """The text, or a reference to it: the review around it has to stay short enough to be read by an orchestrator."""
    if len(merged.encode()) <= INLINE_BYTES // 2:
        return merged
    return refer(await context.keep(merged, TEXT))


def parts_of(request: JsonValue) -> frozenset[str]:
    """The names of the parts that the request lists; what a model sends back under another name was never there."""
    listed = request.get("parts") if isinstance(request, dict) else None
    parts = listed if isinstance(listed, list) else []
    return frozenset(str(part["part"]) for part in parts if isinstance(part, dict) and "part" in part)
