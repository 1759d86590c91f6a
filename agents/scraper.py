"""The scraper agent: pulls the facts out of the pages it is given. It has no network and fetches nothing."""

from pydantic import BaseModel, ConfigDict, Field

from agents.prompting import prompt_agent


class Fact(BaseModel):
    """One fact with the words that bear it out."""

    model_config = ConfigDict(extra="forbid")

    fact: str
    quote: str
    where: str


class Extract(BaseModel):
    """What the material holds, and what it does not."""

    model_config = ConfigDict(extra="forbid")

    facts: list[Fact] = Field(max_length=200)
    missing: str


SCRAPER = prompt_agent(
    name="scraper",
    description="Pulls the facts out of pages or raw text in the request, with quotations; fetches nothing itself.",
    role="You pull facts out of web pages and raw documents for a research group, and you never tidy them up.",
    task=(
        "Go through the pages, documents or raw text in the request and in the outputs, and take out what bears on"
        " what is asked. Leave out navigation, advertising and repetition. You cannot open links or search: what is"
        " not in the material in front of you, you do not have, and you list it as missing instead of supplying it"
        " from memory. When there is no material at all, return no facts and say in `missing` what you would need."
    ),
    output=(
        "JSON. `facts`: each with the `fact` in one sentence, the `quote` that bears it out, word for word, and"
        " `where` in the material it stands (a title, a heading, an address). `missing`: what was asked for and is"
        " not there."
    ),
    answer=Extract,
)
