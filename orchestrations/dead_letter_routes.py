"""Dead letters over HTTP: looking at them, replaying them, and throwing them away."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Self

import azure.durable_functions as df
import azure.functions as func
from pydantic import Field, JsonValue, StringConstraints, model_validator

from orchestrations.dead_letters import (
    MAX_PAGE,
    DeadLetterFilter,
    Place,
    list_dead_letters,
    matching,
    parse_id,
    places_of,
)
from orchestrations.discarding import discard_all, would_discard
from orchestrations.durable import DurableOrchestrations
from orchestrations.replaying import Replay, Replayer
from shared.cards import AgentCard
from shared.contracts import Contract
from shared.errors import InvalidRequest
from shared.http import answers_problems, json_response, read_body, read_query
from shared.resources import Resources

# A call answers within a minute, so that nothing between it and its client gives up waiting.
_LONGEST_SECONDS = 60


class ListDeadLetters(DeadLetterFilter):
    """The query of `GET dead-letters`."""

    limit: int = Field(default=50, ge=1, le=MAX_PAGE)
    continuation: Annotated[str, StringConstraints(max_length=400)] | None = None

    @property
    def conditions(self) -> DeadLetterFilter:
        """The filter alone."""
        return DeadLetterFilter(**{name: getattr(self, name) for name in DeadLetterFilter.model_fields})


class ChosenLetters(Contract):
    """Which dead letters are meant: `ids`, or the first `limit` after `continuation` of those that a `filter` finds.

    `by` is who asks, `dry_run` to be told only.
    """

    ids: Annotated[tuple[str, ...], Field(max_length=MAX_PAGE)] = ()
    filter: DeadLetterFilter | None = None
    limit: int = Field(default=MAX_PAGE, ge=1, le=MAX_PAGE)
    continuation: Annotated[str, StringConstraints(max_length=400)] | None = None
    by: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    dry_run: bool = False

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if bool(self.ids) == (self.filter is not None):
            raise ValueError("ids: give ids or a filter, and not both")
        return self

    @property
    def most(self) -> int:
        """How many are dealt with in this call."""
        return self.limit


class ReplayRequest(ChosenLetters):
    """The body of `POST dead-letters/replay`.

    How: `rate` in messages a second, `restart` to begin a new run where the old one has ended. `body` is what is sent
    instead of the one dead letter that `ids` names; then `by` has to say who wants it.
    """

    rate: float = Field(default=10, gt=0, le=100)
    body: JsonValue = None
    restart: bool = False

    @model_validator(mode="after")
    def _says_whose_body(self) -> Self:
        if self.body is not None and len(self.ids) != 1:
            raise ValueError("body: a body goes with one id")
        if self.body is not None and not self.by:
            raise ValueError("by: say who sends another body")
        return self

    @property
    def most(self) -> int:
        """How many are replayed in this call: what the rate lets go in the time that it has."""
        return max(1, min(self.limit, int(self.rate * _LONGEST_SECONDS)))


class DiscardRequest(ChosenLetters):
    """The body of `POST dead-letters/discard`: nothing brings them back, so `by` has to say who wants it."""

    @model_validator(mode="after")
    def _says_who(self) -> Self:
        if not self.by and not self.dry_run:
            raise ValueError("by: say who throws them away")
        return self


def add_dead_letter_routes(blueprint: df.Blueprint, agents: Mapping[str, AgentCard], resources: Resources) -> None:
    """Add `GET dead-letters`, `POST dead-letters/replay` and `POST dead-letters/discard`."""
    places = places_of(agents)

    @blueprint.function_name("list_dead_letters")
    @blueprint.route("dead-letters", methods=["GET"])
    @answers_problems
    async def list_them(req: func.HttpRequest) -> func.HttpResponse:
        asked = read_query(req, ListDeadLetters)
        page = await list_dead_letters(
            asked.conditions, limit=asked.limit, continuation=asked.continuation, places=places, resources=resources
        )
        return json_response(page)

    @blueprint.function_name("replay_dead_letters")
    @blueprint.route("dead-letters/replay", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answers_problems
    async def replay(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        asked = read_body(req, ReplayRequest)
        letters, continuation = await _meant(asked, places, resources)
        if len(letters) > asked.most:
            message = f"rate: it lets {asked.most} go in a minute, and ids names {len(letters)}"
            raise InvalidRequest(message, field="rate")
        body = None if asked.body is None else json.dumps(asked.body).encode()
        how = Replay(
            rate=asked.rate, by=asked.by or "nobody named", restart=asked.restart, dry_run=asked.dry_run, body=body
        )
        replayer = Replayer(places, agents, DurableOrchestrations(client), resources)
        results = await replayer.replay(letters, how)
        return json_response({"dry_run": asked.dry_run, "results": results, "continuation": continuation})

    @blueprint.function_name("discard_dead_letters")
    @blueprint.route("dead-letters/discard", methods=["POST"])
    @answers_problems
    async def throw_away(req: func.HttpRequest) -> func.HttpResponse:
        asked = read_body(req, DiscardRequest)
        letters, continuation = await _meant(asked, places, resources)
        discard = would_discard if asked.dry_run else partial(discard_all, by=asked.by)
        results = await discard(letters, places, resources)
        return json_response({"dry_run": asked.dry_run, "results": results, "continuation": continuation})


async def _meant(
    asked: ChosenLetters, places: Mapping[str, Place], resources: Resources
) -> tuple[list[tuple[str, int]], str | None]:
    """The entities and numbers of those that are meant in this call, and where to go on when there are more."""
    if asked.filter is not None:
        found, follows = await matching(
            asked.filter, limit=asked.most, continuation=asked.continuation, places=places, resources=resources
        )
        return [(letter.entity, letter.sequence_number) for letter in found], follows
    return list(dict.fromkeys(parse_id(each, places) for each in asked.ids)), None
