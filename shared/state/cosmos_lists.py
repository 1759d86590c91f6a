"""Lists of runs in Cosmos DB: queries over the heads of the run documents, which the index holds and bodies do not.

A list crosses partitions. It goes down one indexed value, `sort_key`, so that a page costs about the page; a search
for words and one for an agent also read the index of what they look for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from shared.state.cosmos_container import CosmosContainer, Item
from shared.state.cosmos_documents import corrupted, time_text
from shared.state.listing import RunFilter, RunPage, RunSummary, continuation_token, place_in
from shared.status import RunStatus

_LINE = (
    "task_id",
    "type",
    "workflow",
    "status",
    "topic",
    "agents",
    "asked",
    "created_at",
    "updated_at",
    "completed_at",
)
_FIELDS = ", ".join(f"c.{name}" for name in ("id", "sort_key", *_LINE))


@dataclass(slots=True)
class _Search:
    conditions: list[str] = field(default_factory=lambda: ["c.kind = 'run'"])
    parameters: dict[str, Any] = field(default_factory=dict)

    def require(self, condition: str, **parameters: object) -> None:
        self.conditions.append(condition)
        self.parameters |= parameters

    @property
    def where(self) -> str:
        return " and ".join(self.conditions)


async def page(container: CosmosContainer, asked: RunFilter, limit: int, continuation: str | None) -> RunPage:
    """A page of the list; see `StateStore.list_runs`."""
    search = _search(asked)
    last = place_in(asked, continuation)
    if last is not None:
        search.require("c.sort_key < @last", last=last)
    text = f"select top {limit + 1} {_FIELDS} from c where {search.where} order by c.sort_key desc"
    items = await container.query(text, search.parameters)
    shown = items[:limit]
    more = len(items) > limit
    return RunPage(
        runs=tuple(_summary(item) for item in shown),
        continuation=continuation_token(asked, str(shown[-1]["sort_key"])) if more else None,
    )


async def counts(container: CosmosContainer, asked: RunFilter) -> Mapping[RunStatus, int]:
    """How many runs stand where; see `StateStore.count_runs`. One query a status: the SDK groups in no other way."""
    found = dict.fromkeys(RunStatus, 0)
    for status in RunStatus:
        if asked.status in (None, status):
            search = _search(asked.model_copy(update={"status": status}))
            text = f"select value COUNT(1) from c where {search.where}"
            found[status] = sum(await container.query(text, search.parameters))
    return found


def _search(asked: RunFilter) -> _Search:
    search = _Search()
    if asked.status is not None:
        search.require("c.status = @status", status=asked.status.value)
    if asked.type is not None:
        search.require("c.type = @type", type=asked.type)
    if asked.agent is not None:
        search.require("(ARRAY_CONTAINS(c.agents, @agent) or ARRAY_CONTAINS(c.asked, @agent))", agent=asked.agent)
    for number, word in enumerate(asked.words):
        # In a document every word has a space before it, so that this finds the beginnings of words.
        search.require(f"CONTAINS(c.words, @word{number})", **{f"word{number}": f" {word}"})
    if asked.since is not None:
        search.require("c.sort_key >= @since", since=time_text(asked.since))
    if asked.before is not None:
        search.require("c.sort_key < @before", before=time_text(asked.before))
    return search


def _summary(item: Item) -> RunSummary:
    line = {name: item.get(name) for name in _LINE}
    try:
        line["agents"] = tuple(sorted({*(line.pop("asked") or ()), *(line["agents"] or ())}))
        return RunSummary.model_validate(line)
    except (ValidationError, TypeError) as error:
        raise corrupted(item, f"its head is no line of a list: {error}") from None
