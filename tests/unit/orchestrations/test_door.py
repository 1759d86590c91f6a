"""What is asked of a request before anything is begun, whichever door it came through."""

import json
from typing import Any

import pytest

from orchestrations.door import check_request, roster
from orchestrations.nodes import MAX_DEPTH, MAX_NODES, PatternRequest
from orchestrations.start_queue import parse_request, start_from_message
from shared.cards import Rates
from shared.contracts import MAX_GIVEN_DEPTH
from shared.errors import InvalidMessage, InvalidRequest, TaskHubUnavailable
from shared.names import START_QUEUE
from shared.settings import Settings
from tests.support.app_world import World
from tests.support.documents import a_card
from tests.unit.orchestrations.test_resuming import NoHub

AGENTS = {name: a_card(name, rates=Rates(input=1, output=1)) for name in ("web", "news")}


def request(**given: Any) -> PatternRequest:
    return parse_request(json.dumps({"pattern": "sequential", "request": "x", **given}).encode())


def nested(depth: int) -> dict[str, Any]:
    inner: Any = "web"
    for _ in range(depth):
        inner = {"pattern": "sequential", "name": "n", "agents": [inner]}
    return {"agents": inner["agents"]}


def stage(**more: Any) -> dict[str, Any]:
    return {"pattern": "parallel", "name": "s", "agents": ["web"], **more}


def wide(count: int) -> dict[str, Any]:
    return {"pattern": "parallel", "agent": "web", "inputs": list(range(count))}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"agents": ["web"], "request": None}, "request"),
        ({"agents": ["web", "ghost"]}, "agents.1"),
        ({"agents": ["web", stage(agents=["news", "ghost"])]}, "agents.1.agents.1"),
        ({"agents": ["web", stage(idempotency_key="k")]}, "agents.1.idempotency_key"),
        (nested(MAX_DEPTH + 1), ".".join(["agents.0"] * MAX_DEPTH)),
        ({"agents": [{**wide(1000), "name": "a"}, {**wide(1000), "name": "b"}]}, "agents.1.inputs.998"),
        ({"agents": [stage(name="n" * 40, agents=[{"agent": "web", "name": "m" * 40}])]}, "agents.0.agents.0"),
    ],
)
def test_what_cannot_be_run_is_refused_by_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_request(request(**given), AGENTS)
    assert refused.value.field == field


@pytest.mark.parametrize("given", [nested(MAX_DEPTH), {"agents": [wide(MAX_NODES // 2)]}])
def test_what_is_just_within_the_limits_is_taken(given: dict[str, Any]) -> None:
    check_request(request(**given), AGENTS)


@pytest.mark.parametrize("given", [{"budget": {"usd": 1}}, {"agents": ["web", stage(budget={"usd": 1})]}])
def test_a_budget_of_money_is_refused_when_a_price_is_unknown(given: dict[str, Any]) -> None:
    unknown = {"web": a_card("web"), "news": a_card("news", uses_model=False)}
    with pytest.raises(InvalidRequest, match="the price of web's model is unknown"):
        check_request(request(**{"agents": ["web"], **given}), unknown)
    check_request(request(**{"agents": ["web"], **given}), AGENTS)


def test_the_roster_says_what_the_settings_say_of_the_models() -> None:
    settings = Settings.model_validate(
        {"MUSTER_MODEL_API_KEY": "k", "MUSTER_MODEL_NAME": "gpt-5-mini", "MUSTER_MODEL_MAX_OUTPUT_TOKENS": "500"}
    )
    known = roster({"a": a_card("a", max_output_tokens=900), "b": a_card("b", max_output_tokens=100)}, settings)
    assert {name: card.max_output_tokens for name, card in known.items()} == {"a": 500, "b": 100}
    assert known["a"].rates == Rates(input=0.25, output=2)
    assert roster({"a": a_card("a")}, Settings())["a"].rates is None


# -- messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "Invalid JSON"),
        (b"[]", "the body"),
        (b"{}", "the body"),
        (b'{"pattern": "circular"}', "pattern must be one of sequential, parallel"),
        (b'{"pattern": "sequential", "request": "x"}', "agents: give at least one agent"),
        (b'{"pattern": "sequential", "request": "x", "agents": ["web"], "more": 1}', "more"),
    ],
)
def test_a_message_that_is_no_request_says_why(body: bytes, why: str) -> None:
    with pytest.raises(InvalidMessage, match=why):
        parse_request(body)


async def test_a_message_that_cannot_be_started_now_comes_back_later_under_the_same_key(world: World) -> None:
    class SilentHub(NoHub):
        async def schedule(self, orchestrator: str, instance_id: str, given: Any) -> None:
            raise TaskHubUnavailable("silent")

    world.bus._queues[START_QUEUE] = []
    body = json.dumps({"pattern": "sequential", "request": "x", "agents": ["web"]}).encode()
    await start_from_message(body, "m-1", agents=AGENTS, orchestrations=SilentHub(), resources=world.resources)
    [copy] = world.bus.taken(START_QUEUE)
    assert copy.enqueue_at is not None
    assert copy.enqueue_at > world.clock.now()
    assert copy.message_id != "m-1"
    assert json.loads(copy.body)["idempotency_key"] == "m-1"


# -- values that patterns wrap ------------------------------------------------------------------------------------


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"agents": ["web"], "request": deep(MAX_GIVEN_DEPTH + 1)}, "request"),
        ({"agents": [{"agent": "web", "request": deep(MAX_GIVEN_DEPTH + 2)}]}, "agents.0.request"),
        ({"agents": [stage(request=deep(MAX_GIVEN_DEPTH + 2))]}, "agents.0.request"),
    ],
)
def test_a_request_too_deep_to_be_wrapped_by_patterns_is_refused_by_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest, match="deep in one another") as refused:
        check_request(request(**given), AGENTS)
    assert refused.value.field == field


def test_the_deepest_request_with_the_deepest_input_is_taken() -> None:
    inputs = {"agents": (), "agent": "web", "inputs": [deep(MAX_GIVEN_DEPTH)], "pattern": "parallel"}
    check_request(request(**inputs, request=deep(MAX_GIVEN_DEPTH)), AGENTS)


def test_a_team_whose_planner_may_choose_nobody_but_itself_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_request(request(pattern="hierarchical", planner="web", agents=["web"]), AGENTS)
    assert refused.value.field == "agents"


@pytest.mark.parametrize("node", [None, 1, {}, {"pattern": ["x"]}, {"pattern": "ghost"}])
def test_what_is_no_node_is_told_which_forms_there_are(node: Any) -> None:
    with pytest.raises(InvalidMessage, match="give an agent's name") as refused:
        request(agents=[node])
    assert "_kind" not in str(refused.value)


@pytest.mark.parametrize("preset", ["ghost", ["moderation"], {"a": 1}, 1])
@pytest.mark.parametrize("pattern", ["consensus", "handoff", "hierarchical"])
def test_a_preset_that_there_is_not_is_what_a_request_is_refused_for(pattern: str, preset: Any) -> None:
    with pytest.raises(InvalidMessage, match="preset: there is only"):
        request(pattern=pattern, preset=preset)
