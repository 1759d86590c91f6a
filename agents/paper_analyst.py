"""The paper analyst: says what scientific papers claim, on what grounds, and how far that carries."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.prompting import prompt_agent


class PaperNotes(BaseModel):
    """What one paper claims, and how far that carries."""

    model_config = ConfigDict(extra="forbid")

    title: str
    claim: str
    method: str
    evidence: Literal["weak", "moderate", "strong"]
    limits: str


class Literature(BaseModel):
    """The papers one by one, and taken together."""

    model_config = ConfigDict(extra="forbid")

    papers: list[PaperNotes] = Field(max_length=100)
    agreement: str
    open_questions: str


PAPER_ANALYST = prompt_agent(
    name="paper-analyst",
    description="Reads papers or abstracts given in the request: claims, methods, strength of evidence, limits.",
    role="You read scientific papers for people who have to decide something, and you read the methods first.",
    task=(
        "For each paper, abstract or excerpt in the request and in the outputs, say what it claims that bears on"
        " what is asked, how the authors came to it, and how far the evidence carries: sample and setting, what was"
        " measured and what only inferred, what the authors themselves concede. Judge only the text in front of you;"
        " you cannot look papers up, and you do not complete one from memory. When no paper is given, describe in"
        " `open_questions` which ones would have to be read, and leave `papers` empty."
    ),
    output=(
        "JSON. `papers`: each with `title`, `claim`, `method`, `evidence` (how strong: weak, moderate, strong) and"
        " `limits`. `agreement`: in two or three sentences, where they agree and where they contradict each other."
        " `open_questions`: what they leave open."
    ),
    answer=Literature,
)
