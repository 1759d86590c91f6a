"""What is asked of a request before anything is begun: its agents exist, its size and its budget can be kept."""

from collections.abc import Mapping

from pydantic import JsonValue

from orchestrations.nodes import MAX_DEPTH, MAX_NODES, AgentNode, AnyNode, PatternRequest, own_request, walk
from shared.cards import AgentCard, Rates
from shared.contracts import MAX_GIVEN_DEPTH, MAX_STEP_ID, bounded
from shared.errors import ConfigurationError, InvalidRequest
from shared.llm.endpoint import resolve_endpoint
from shared.llm.prices import price_of
from shared.settings import Settings


def roster(agents: Mapping[str, AgentCard], settings: Settings) -> dict[str, AgentCard]:
    """The agents with what the settings say of their models: the most tokens out, and the price if it is known."""
    try:
        price = price_of(resolve_endpoint(settings).model)
    except ConfigurationError:
        price = None
    rates = Rates(input=price.input, output=price.output) if price else None
    limit = settings.model_max_output_tokens
    return {
        name: card.model_copy(
            update={"max_output_tokens": min(card.max_output_tokens or limit, limit), "rates": card.rates or rates}
        )
        for name, card in agents.items()
    }


def check_request(request: PatternRequest, agents: Mapping[str, AgentCard]) -> None:
    """Raise `InvalidRequest`, which names the field, unless the request can be run with these agents."""
    if request.request is None:
        raise InvalidRequest("request: say what is asked", field="request")
    if not request.nodes() and not request.may_ask(agents):
        raise InvalidRequest("agents: give at least one agent", field="agents")
    limits_money = request.budget is not None and request.budget.usd is not None
    _check_given(request.request, "request")
    _check_pattern(request, agents, "", "")
    for number, (path, field, placed) in enumerate(walk(request), start=1):
        if number > MAX_NODES:
            raise InvalidRequest(f"{field}: a request may hold at most {MAX_NODES} nodes", field=field)
        _check_given(own_request(placed.node), f"{field}.request")
        nested = placed.node if isinstance(placed.node, PatternRequest) else None
        if path.count(".") + 1 + (nested is not None) > MAX_DEPTH:
            raise InvalidRequest(f"{field}: patterns may stand at most {MAX_DEPTH} deep in one another", field=field)
        if len(path) > MAX_STEP_ID:
            raise InvalidRequest(
                f"{field}: the names on the way to {path} have over {MAX_STEP_ID} characters", field=field
            )
        _check_undo(placed.node, agents, field)
        if nested is not None:
            limits_money = limits_money or (nested.budget is not None and nested.budget.usd is not None)
            _check_nested(nested, field)
            _check_pattern(nested, agents, path, f"{field}.")
        elif placed.agent not in agents:
            there = ", ".join(agents)
            raise InvalidRequest(f"{field}: no agent is called {placed.agent}; there are {there}", field=field)
    if limits_money:
        _check_prices(request, agents)


def _check_given(given: JsonValue, field: str) -> None:
    """One more than is allowed is an input in the object that it is handed on in; its own depth was checked."""
    try:
        bounded(given, MAX_GIVEN_DEPTH + field.endswith(".request"))
    except ValueError as error:
        raise InvalidRequest(f"{field}: {error}", field=field) from None


def _check_undo(node: AnyNode, agents: Mapping[str, AgentCard], field: str) -> None:
    if isinstance(node, AgentNode) and node.undo is not None and node.undo not in agents:
        where = f"{field}.undo"
        raise InvalidRequest(f"{where}: no agent is called {node.undo}; there are {', '.join(agents)}", field=where)


def _check_nested(request: PatternRequest, field: str) -> None:
    for name in ("idempotency_key", "tenant", "session"):
        if getattr(request, name) is not None:
            where = f"{field}.{name}"
            raise InvalidRequest(f"{where}: only the outermost request may have one", field=where)
    if request.compensate != "never":
        where = f"{field}.compensate"
        raise InvalidRequest(f"{where}: only the outermost request says when what was done is undone", field=where)
    if getattr(request, "resume_from", None) is not None:
        where = f"{field}.resume_from"
        raise InvalidRequest(f"{where}: only the outermost request may resume a run", field=where)


def _check_pattern(request: PatternRequest, agents: Mapping[str, AgentCard], path: str, field: str) -> None:
    problem = request.check_with(agents, path)
    if problem is not None:
        where = f"{field}{problem[0]}"
        raise InvalidRequest(f"{where}: {problem[1]}", field=where)


def _check_prices(request: PatternRequest, agents: Mapping[str, AgentCard]) -> None:
    for name in request.may_ask(agents):
        if agents[name].uses_model and agents[name].rates is None:
            raise InvalidRequest(
                f"budget.usd: the price of {name}'s model is unknown, so that its cost cannot be limited: limit tokens",
                field="budget.usd",
            )
