"""A task that its agent cannot read will never be run: whoever waits for its answer is told so at once."""

import logging

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.delivery import Reply, parse_task
from shared.contracts import AgentName, AgentResult, ErrorInfo, ReplyTo
from shared.errors import InvalidMessage, RetryableError
from shared.status import StepStatus

log = logging.getLogger("muster.agents")


class _Addressed(BaseModel):
    """As much of a task as says who waits for it; of the rest, another version may have made something else."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    agent: AgentName
    reply_to: ReplyTo


async def tell_who_waits(agent: str, body: bytes, reply: Reply) -> None:
    """Answer for a message to `agent` that is no task of its, if an orchestration waits for it. Never raises.

    For a task that can be read, the runner answers.
    """
    try:
        parse_task(agent, body)
    except InvalidMessage as error:
        unreadable = ErrorInfo(type="InvalidMessage", message=str(error))
    else:
        return
    try:
        addressed = _Addressed.model_validate_json(body)
        if addressed.agent == agent:
            await reply(addressed.reply_to, AgentResult(status=StepStatus.FAILED, error=unreadable))
    except ValidationError:
        log.info("nobody can be told of a message to %s that is no task", agent)
    except RetryableError as error:
        log.warning("who waits for a message to %s that is no task is not told: %s", agent, error)
