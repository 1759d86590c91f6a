"""The analyst agent: looks at data that has come in, and says what is in it for those who react to that."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agents.context import AgentContext
from agents.prompting import prompt_tokens, system_prompt, user_message
from agents.spec import AgentSpec
from shared.cards import EventSubscription
from shared.contracts import AgentInput
from shared.events import ANALYSIS_COMPLETED, DATA_RECEIVED

SYSTEM = system_prompt(
    role="You are a data analyst. People act on what you write within minutes, without looking at the data.",
    task=(
        "Analyse the data in the request. Look first at what it is: what one record stands for, how many there are,"
        " what is missing or cannot be right. Then say what it shows, the most consequential first, each finding with"
        " the values that it rests on. Name what deviates from the rest of this data, by how much. Compute only what"
        " you can compute exactly from the values given, and claim no cause that the data does not show. Little data"
        " gives low confidence, and no data gives no findings."
    ),
    output=(
        "JSON. `summary`: two sentences that somebody in a hurry can act on. `findings`: each with the `finding` and"
        " the `evidence`, the values it rests on. `anomalies`: what deviates or cannot be right; may be empty."
        " `confidence`: low, medium or high."
    ),
)


class Finding(BaseModel):
    """One thing that the data shows, and the values that show it."""

    model_config = ConfigDict(extra="forbid")

    finding: str
    evidence: str


class Analysis(BaseModel):
    """What is in the data."""

    model_config = ConfigDict(extra="forbid")

    summary: str
    findings: list[Finding] = Field(max_length=50)
    anomalies: list[str] = Field(max_length=50)
    confidence: Literal["low", "medium", "high"]


async def analyse(context: AgentContext, given: AgentInput) -> JsonValue:
    """The analysis of the data in the request, as the JSON of an `Analysis`; published as `AnalysisCompleted`."""
    analysis = (await context.ask_for(Analysis, SYSTEM, user_message(given))).model_dump(mode="json")
    context.publish(ANALYSIS_COMPLETED, analysis)
    return analysis


ANALYST = AgentSpec(
    name="analyst",
    description="Analyses data that has come in: findings with their evidence, anomalies, and how sure it is.",
    handler=analyse,
    model_calls=2,
    prompt_tokens=prompt_tokens(SYSTEM, Analysis),
    subscribes=(EventSubscription(type=DATA_RECEIVED),),
    publishes=(ANALYSIS_COMPLETED,),
)
