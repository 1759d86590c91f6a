"""Agents that vote: a prompt of their own, and a ballot whose form follows from the paper that they are given."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model

from agents.context import AgentContext
from agents.forms import read_form
from agents.prompting import prompt_tokens, system_prompt, user_message
from agents.spec import AgentSpec
from shared.ballots import MAX_REASON, BallotAnswer, BallotPaper
from shared.contracts import AgentInput

ABSTAIN = "abstain"

# The options stand in the schema as well as in the input; no vote has more of them than fit into this.
_OPTIONS_TOKENS = 1600

BALLOT = (
    "A ballot as JSON. `reason` first: in one to three sentences, what in the material decided it for you, quoting the"
    " words that did. Then your answer to `question`, as the request's `answer` says: `choice`, exactly one of its"
    " `options`; `score`, a number on its scale from `low` to `high`; or a place for each of its `options`, the"
    f' best in `place_1`. Vote "{ABSTAIN}", where you may, when the material does not let you judge: a guess is worse'
    " than none."
)


def voter_agent(*, name: str, description: str, role: str, task: str, **limits: Any) -> AgentSpec:
    """An agent that answers a `BallotPaper` with a `BallotAnswer`: `role` says who it is, `task` how it judges.

    `limits` are further fields of its `AgentSpec`.
    """
    system = system_prompt(role=role, task=task, output=BALLOT)
    prompt = prompt_tokens(system, BallotAnswer) + _OPTIONS_TOKENS

    async def handler(context: AgentContext, given: AgentInput) -> JsonValue:
        paper = read_paper(given)
        ballot = await context.ask_for(ballot_model(paper), system, user_message(given))
        answer: JsonValue = as_answer(paper, ballot.model_dump(mode="json")).model_dump(mode="json", exclude_none=True)
        return answer

    return AgentSpec(
        name=name, description=description, handler=handler, **{"model_calls": 2, "prompt_tokens": prompt, **limits}
    )


def read_paper(given: AgentInput) -> BallotPaper:
    """The ballot paper in the request. Raises `InvalidRequest` when it is none."""
    return read_form(given, BallotPaper, "no ballot paper")


def ballot_model(paper: BallotPaper) -> type[BaseModel]:
    """The form of a ballot for this paper, in which nothing can be chosen that is not on it.

    The reason stands before the choice, so that a model gives its reasons before it has chosen.
    """
    fields: dict[str, Any] = {"reason": (Annotated[str, Field(max_length=MAX_REASON)], ...)}
    match paper.answer:
        case "choice":
            choices = (*paper.options, ABSTAIN) if paper.may_abstain else paper.options
            fields["choice"] = (Literal[choices], ...)
        case "score":
            fields["score"] = (Annotated[float, Field(ge=paper.low, le=paper.high)], ...)
        case "ranking":
            # One field for each place: a schema in strict mode cannot say how long a list has to be.
            members = {f"option_{number}": name for number, name in enumerate(paper.options)}
            option = StrEnum("Option", members)  # type: ignore[misc]  # mypy wants to see the members.
            fields |= {f"place_{place + 1}": (option, ...) for place in range(len(paper.options))}
    return create_model("Ballot", __config__=ConfigDict(extra="forbid"), **fields)


def as_answer(paper: BallotPaper, ballot: dict[str, Any]) -> BallotAnswer:
    """What a model filled in, as a voter's answer; an abstention has no choice."""
    if paper.answer == "ranking":
        places = tuple(ballot[f"place_{place + 1}"] for place in range(len(paper.options)))
        return BallotAnswer(ranking=places, reason=ballot["reason"])
    if ballot.get("choice") == ABSTAIN:
        return BallotAnswer(reason=ballot["reason"])
    return BallotAnswer.model_validate(ballot)
