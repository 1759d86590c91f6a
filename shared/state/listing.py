"""Lists of runs: what is asked of them, what each line shows, and the token that leads to the next page.

A list goes from the newest run to the oldest. A token names the last run that was shown, so that runs which begin
while somebody reads neither repeat a line nor leave one out.
"""

import base64
import hashlib
import re
from typing import Annotated

from pydantic import AwareDatetime, Field, JsonValue

from shared.contracts import AgentName, Contract, TaskId
from shared.errors import InvalidRequest
from shared.state.documents import RunDocument
from shared.status import RunStatus

MAX_PAGE = 200
MAX_TOPIC = 300
_SEARCHED = 2000
_TOPIC_FIELDS = ("topic", "query", "question", "text", "prompt", "title", "subject")
# Letters and digits of any script; whatever else there is only parts words.
_WORD = re.compile(r"[^\W_]+")


class RunFilter(Contract):
    """Which runs are meant: those that fulfil every condition that is set. `since` is included, `before` is not.

    `text` finds runs in whose topic each of its words begins a word, in capitals or not.
    """

    status: RunStatus | None = None
    type: str | None = Field(default=None, max_length=100)
    agent: AgentName | None = None
    text: str | None = Field(default=None, max_length=200)
    since: AwareDatetime | None = None
    before: AwareDatetime | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of `text`, in the form in which a topic is searched. Raises `InvalidRequest` when it has none."""
        if self.text is None:
            return ()
        found = words_of(self.text)
        if not found:
            raise InvalidRequest("text must contain a letter or a digit", field="text")
        return found


class RunSummary(Contract):
    """One line of a list of runs. `agents` are those that the run planned to ask, and in the end those it asked."""

    task_id: TaskId
    type: str
    workflow: str
    status: RunStatus
    topic: str
    agents: tuple[str, ...]
    created_at: AwareDatetime
    updated_at: AwareDatetime
    completed_at: AwareDatetime | None


class RunPage(Contract):
    """A page of a list; `continuation` asks for the next one, and is None on the last."""

    runs: tuple[RunSummary, ...]
    continuation: str | None


PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE)]


def summary_of(run: RunDocument) -> RunSummary:
    """The line that shows a run."""
    planned = {step.agent for step in run.plan}
    asked = {line.agent for line in run.result.account} if run.result else set()
    return RunSummary(
        task_id=run.task_id,
        type=run.type,
        workflow=run.workflow,
        status=run.status,
        topic=topic_of(run.input)[:MAX_TOPIC],
        agents=tuple(sorted(planned | asked)),
        created_at=run.created_at,
        updated_at=run.updated_at,
        completed_at=run.completed_at,
    )


def topic_of(asked: JsonValue) -> str:
    """What a request is about, in its own words: its `topic`, `query` or the like; empty when it has none."""
    if isinstance(asked, str):
        return asked
    if not isinstance(asked, dict):
        return ""
    for name in _TOPIC_FIELDS:
        value = asked.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return topic_of(asked.get("request"))


def search_words(run: RunDocument) -> tuple[str, ...]:
    """The words by which a run is found."""
    return words_of(topic_of(run.input)[:_SEARCHED])


def words_of(text: str) -> tuple[str, ...]:
    """The distinct words of a text, in the form in which words are compared."""
    return tuple(dict.fromkeys(_WORD.findall(text.casefold())))


def continuation_token(asked: RunFilter, last: str) -> str:
    """The token for what follows `last`, the place of the last run shown in the store's own order."""
    return base64.urlsafe_b64encode(f"{_fingerprint(asked)}{last}".encode()).decode().rstrip("=")


def place_in(asked: RunFilter, token: str | None) -> str | None:
    """The place that a token names, None without one. Raises `InvalidRequest` for a token of another list."""
    if token is None:
        return None
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        raise InvalidRequest("this is no continuation of a list", field="continuation") from None
    fingerprint = _fingerprint(asked)
    if not text.startswith(fingerprint) or len(text) == len(fingerprint):
        raise InvalidRequest("this continuation belongs to a list with other conditions", field="continuation")
    return text.removeprefix(fingerprint)


def _fingerprint(asked: RunFilter) -> str:
    return hashlib.sha256(asked.model_dump_json().encode()).hexdigest()[:8]
