"""What is remembered, over HTTP: to look at it, and to have it forgotten when somebody asks for that."""

from typing import Annotated

import azure.functions as func
from pydantic import Field, JsonValue, StringConstraints, ValidationError

from agents.memory import MAX_RECALLED
from shared.contracts import AgentName, Contract
from shared.errors import InvalidRequest
from shared.http import answers_problems, json_response, read_query
from shared.memory.entries import Fact, Scope, Turn
from shared.memory.search import by_words, question_words
from shared.resources import Resources


class WhichFacts(Contract):
    """The query of `GET memory/{tenant}/facts`: an agent's facts, or the shared ones, with a word of `text`."""

    agent: AgentName | None = None
    text: Annotated[str, StringConstraints(max_length=200)] = ""
    limit: int = Field(default=50, ge=1, le=MAX_RECALLED)


def memory_routes(resources: Resources) -> func.Blueprint:
    """A blueprint with `memory/{tenant}`, its `facts` and its `sessions/{session}`."""
    blueprint = func.Blueprint()
    _add_views(blueprint, resources)
    _add_removals(blueprint, resources)
    return blueprint


def _add_views(blueprint: func.Blueprint, resources: Resources) -> None:
    @blueprint.function_name("list_facts")
    @blueprint.route("memory/{tenant}/facts", methods=["GET"])
    @answers_problems
    async def list_facts(req: func.HttpRequest) -> func.HttpResponse:
        asked = read_query(req, WhichFacts)
        words = question_words(asked.text)
        if asked.text and not words:
            raise InvalidRequest("text must contain a letter or a digit", field="text")
        scope = _scope(req, agent=asked.agent)
        entries = await resources.memory.read(scope, now=resources.clock.now(), words=words)
        facts = by_words([entry for entry in entries if isinstance(entry, Fact)], words)
        shown = [_shown(fact, exclude={"embedding"}) for fact in facts[: asked.limit]]
        return json_response({"facts": shown, "found": len(facts)})

    @blueprint.function_name("get_session")
    @blueprint.route("memory/{tenant}/sessions/{session}", methods=["GET"])
    @answers_problems
    async def get_session(req: func.HttpRequest) -> func.HttpResponse:
        scope = _scope(req, session=req.route_params["session"])
        entries = await resources.memory.read(scope, now=resources.clock.now())
        return json_response({"turns": [_shown(entry) for entry in entries if isinstance(entry, Turn)]})


def _add_removals(blueprint: func.Blueprint, resources: Resources) -> None:
    @blueprint.function_name("forget_session")
    @blueprint.route("memory/{tenant}/sessions/{session}", methods=["DELETE"])
    @answers_problems
    async def forget_session(req: func.HttpRequest) -> func.HttpResponse:
        scope = _scope(req, session=req.route_params["session"])
        forgotten = await resources.memory.forget_scope(scope)
        return json_response({"tenant": scope.tenant, "session": scope.session, "forgotten": forgotten})

    @blueprint.function_name("forget_tenant")
    @blueprint.route("memory/{tenant}", methods=["DELETE"])
    @answers_problems
    async def forget_tenant(req: func.HttpRequest) -> func.HttpResponse:
        tenant = _scope(req).tenant
        return json_response({"tenant": tenant, "forgotten": await resources.memory.forget_tenant(tenant)})


def _scope(req: func.HttpRequest, **where: str | None) -> Scope:
    try:
        return Scope.model_validate({"tenant": req.route_params["tenant"], **where})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{field}: {first['msg']}", field=field) from None


def _shown(entry: Fact | Turn, *, exclude: set[str] | None = None) -> dict[str, JsonValue]:
    hidden = {"schema_version", "scope", "kind"} | (exclude or set())
    return entry.model_dump(mode="json", exclude=hidden)
