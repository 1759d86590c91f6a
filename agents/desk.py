"""Agents that hold a conversation: each replies to it, or passes it to a colleague who can do better.

In a session they know what was said before, whoever of them said it, and remember what they reply.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model

from agents.context import AgentContext
from agents.forms import read_form
from agents.memory import CONVERSATION_TOKENS
from agents.prompting import memory_text, prompt_tokens, system_prompt, user_message
from agents.spec import AgentSpec
from shared.contracts import AgentInput
from shared.memory.entries import line_of
from shared.turns import MAX_REASON, Turn, TurnPaper

NOBODY = "nobody"
PERSON = "person"

TURN = (
    "Your turn as JSON. `reason` first: in one sentence, why you reply or pass on, for the colleague who comes next."
    f' `pass_to`: the name of one of the `colleagues` in the request, or "{NOBODY}" to reply yourself. `reply`: what'
    " you say to the person who asked, complete and in their language; empty when you pass on. When the request's"
    " `must_reply` says why a pass is not possible, reply as well as you can, and say what you could not settle."
)


def desk_agent(*, name: str, description: str, role: str, task: str, **limits: Any) -> AgentSpec:
    """An agent that answers a `TurnPaper` with a `Turn`: `role` says who it is, `task` what it settles and what not.

    `limits` are further fields of its `AgentSpec`.
    """
    system = system_prompt(role=role, task=task, output=TURN)
    prompt = prompt_tokens(system, Turn) + CONVERSATION_TOKENS

    async def handler(context: AgentContext, given: AgentInput) -> JsonValue:
        paper = read_paper(given)
        before = memory_text(await context.memory.conversation())
        filled = await context.ask_for(turn_model(paper), system, user_message(given, before))
        turn = as_turn(filled.model_dump())
        if turn.reply is not None:
            await context.memory.say(line_of(PERSON, paper.request), line_of(name, turn.reply))
        dumped: JsonValue = turn.model_dump(mode="json", exclude_none=True)
        return dumped

    return AgentSpec(
        name=name, description=description, handler=handler, **{"model_calls": 2, "prompt_tokens": prompt, **limits}
    )


def read_paper(given: AgentInput) -> TurnPaper:
    """What the holder is given. Raises `InvalidRequest` when the request is no `TurnPaper`."""
    return read_form(given, TurnPaper, "nothing to hold")


def turn_model(paper: TurnPaper) -> type[BaseModel]:
    """The form of a turn, in which nobody can be passed to but those who are offered."""
    names: Sequence[str] = () if paper.must_reply else [colleague.name for colleague in paper.colleagues]
    fields: dict[str, Any] = {
        "reason": (Annotated[str, Field(max_length=MAX_REASON)], ...),
        "pass_to": (Literal[*names, NOBODY], ...),
        "reply": (str, ...),
    }
    return create_model("Turn", __config__=ConfigDict(extra="forbid"), **fields)


def as_turn(filled: dict[str, Any]) -> Turn:
    """What a model filled in, as a turn; what it drafted as a reply is left out when it passes on."""
    if filled["pass_to"] == NOBODY:
        return Turn(reply=filled["reply"], reason=filled["reason"])
    return Turn(pass_to=filled["pass_to"], reason=filled["reason"])
