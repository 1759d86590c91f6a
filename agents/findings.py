"""What a researcher returns, whatever its field: findings that say how sure they are and where they come from."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Confidence(StrEnum):
    """How sure a researcher is of a finding."""

    ESTABLISHED = "established"
    LIKELY = "likely"
    DISPUTED = "disputed"
    UNSURE = "unsure"


class Finding(BaseModel):
    """One thing found out."""

    model_config = ConfigDict(extra="forbid")

    claim: str = Field(description="One self-contained statement, at most 40 words.")
    confidence: Confidence
    basis: str = Field(
        description="What the claim rests on: a named work, event, dataset or group. Empty when you cannot name one."
    )


class Findings(BaseModel):
    """What one researcher found out, from its own point of view."""

    model_config = ConfigDict(extra="forbid")

    summary: str = Field(description="What matters most, in two or three sentences.")
    findings: list[Finding] = Field(description="Three to seven findings, the most important first.")
    gaps: list[str] = Field(description="What this point of view cannot tell, or what you could not find out.")


FINDINGS_RULES = (
    "Stay within your own point of view: others look at the rest. Separate what is established from what is disputed."
    " You cannot look anything up now, so say `unsure` of what you do not know for certain, and leave `basis` empty"
    " rather than invent a source, a figure, a quotation or a link."
)
