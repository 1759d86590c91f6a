"""The catalog with three agents more: one that raises, one that hangs, and one that has to choose between two words."""

import asyncio
from datetime import timedelta
from typing import Literal, NoReturn

from pydantic import BaseModel, JsonValue

from agents.catalog import CATALOG, Catalog
from agents.context import AgentContext
from agents.prompting import prompt_agent
from agents.spec import AgentSpec
from shared.contracts import AgentInput


class Grade(BaseModel):
    """What the grader has to answer."""

    word: Literal["pass", "fail"]
    why: str


async def break_down(context: AgentContext, given: AgentInput) -> NoReturn:
    """What an agent with a fault of its own does."""
    raise RuntimeError("a fault in the agent itself")


async def hang(context: AgentContext, given: AgentInput) -> JsonValue:
    """Never come back."""
    await asyncio.Event().wait()
    return None


GRADER = prompt_agent(
    name="grader",
    description="Grades.",
    role="You are a grader.",
    task="Grade the request.",
    output="A word and why.",
    answer=Grade,
)
RAISER = AgentSpec(name="raiser", description="Raises.", handler=break_down, uses_model=False)
HANGER = AgentSpec(
    name="hanger", description="Hangs.", handler=hang, uses_model=False, timeout=timedelta(milliseconds=500)
)

TROUBLED = Catalog([*CATALOG, GRADER, RAISER, HANGER])
