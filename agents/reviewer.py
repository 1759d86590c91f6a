"""The reviewer agent: checks a draft and says what has to be mended before it is good enough."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agents.context import AgentContext
from agents.prompting import prompt_tokens, system_prompt, user_message
from agents.spec import AgentSpec
from shared.contracts import AgentInput
from shared.reviews import Remark, Review

SYSTEM = system_prompt(
    role="You are a demanding and fair reviewer. Writers come back to you, because what you name is worth mending.",
    task=(
        "Review the last draft among the outputs against the request. Check in this order: does it do what was asked;"
        " is anything wrong, unsupported or left out that its reader needs; can its line of thought be followed; is it"
        " written well. When an earlier review stands among the outputs, look first whether its remarks were met, and"
        " raise nothing new that you could have raised then, unless it is serious. Accept a draft that a good editor"
        " would publish: it need not be the one that you would have written."
    ),
    output=(
        "A review as JSON. `summary`: in one or two sentences, what the draft is worth. `remark`: the most important"
        " one, naming the place, what is wrong with it and what would be right; of a draft that you accept, what would"
        " improve it most. `further_remarks`: at most seven more of the same kind, or none. `verdict`: `accept` or"
        " `revise`."
    ),
)


class ReviewForm(BaseModel):
    """What the model fills in: the reasons before the verdict."""

    model_config = ConfigDict(extra="forbid")

    summary: str = Field(max_length=2000)
    remark: Remark
    further_remarks: list[Remark] = Field(max_length=7)
    verdict: Literal["accept", "revise"]


async def review(context: AgentContext, given: AgentInput) -> JsonValue:
    """The review of the last draft among the earlier outputs, as the JSON of a `Review`."""
    form = await context.ask_for(ReviewForm, SYSTEM, user_message(given))
    return as_review(form).model_dump(mode="json")


def as_review(form: ReviewForm) -> Review:
    """What the model filled in, as the review that a loop understands."""
    return Review(
        satisfied=form.verdict == "accept", problems=(form.remark, *form.further_remarks), summary=form.summary
    )


REVIEWER = AgentSpec(
    name="reviewer",
    description="Checks a draft against what was asked, and accepts it or names what has to be mended.",
    handler=review,
    model_calls=2,
    prompt_tokens=prompt_tokens(SYSTEM, ReviewForm),
)
