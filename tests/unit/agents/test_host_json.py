"""What `host.json` of the deployed app promises, and that the local host knows each of its settings."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents.catalog import CATALOG
from agents.delivery import QueueConsumer
from agents.queues import queue_functions
from agents.runner import AgentRunner
from agents.subscriptions import EventConsumer, subscription_functions
from devhost.host_json import load_host_json
from devhost.taskhub.host_settings import versioning_of
from devhost.taskhub.versioning import VersionFailure, VersionMatch
from orchestrations.outside_events import outside_event_functions
from orchestrations.start_queue import start_queue_functions
from tests.support.app_world import World

ROOT = Path(__file__).parents[3]
HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text())


def triggers(world: World) -> list[dict[str, Any]]:
    """The Service Bus triggers of the app, as it is indexed."""
    consumer = QueueConsumer(AgentRunner(CATALOG, world.resources), world.resources)
    blueprints = [
        queue_functions(CATALOG, consumer),
        subscription_functions(CATALOG, EventConsumer(consumer)),
        start_queue_functions(CATALOG.cards, world.resources),
        outside_event_functions(CATALOG.cards, world.resources),
    ]
    functions = [builder.build() for blueprint in blueprints for builder in blueprint._function_builders]
    bindings = [binding.get_dict_repr() for function in functions for binding in function.get_bindings()]
    return [binding for binding in bindings if binding["type"] == "serviceBusTrigger"]


def test_the_local_host_knows_every_setting() -> None:
    assert load_host_json(ROOT).warnings == ()


def test_messages_are_taken_one_at_a_time_because_only_such_locks_are_renewed(world: World) -> None:
    found = triggers(world)
    assert len(found) > len(list(CATALOG))
    assert {str(each.get("cardinality", "one")).lower() for each in found} == {"one"}


def test_a_run_that_newer_code_began_waits_for_newer_code() -> None:
    versioning = versioning_of(load_host_json(ROOT), str)
    assert versioning.default
    assert (versioning.match, versioning.on_mismatch) == (VersionMatch.CURRENT_OR_OLDER, VersionFailure.REJECT)


@pytest.mark.parametrize("content", ["traceInputsAndOutputs", "traceReplayEvents"])
def test_traces_of_orchestrations_carry_no_content(content: str) -> None:
    tracing = HOST["extensions"]["durableTask"]["tracing"]
    assert (tracing["distributedTracingEnabled"], tracing["version"], tracing[content]) == (True, "V2", False)


def test_the_released_bundle_is_asked_for_and_one_that_knows_versions() -> None:
    bundle = HOST["extensionBundle"]
    assert bundle["id"] == "Microsoft.Azure.Functions.ExtensionBundle"
    lowest = [int(part) for part in bundle["version"].strip("[(").split(",")[0].split(".")]
    # "Orchestration versioning" in the documentation of Durable Functions, and the release that has gRPC for Python.
    assert lowest >= [4, 38, 0]
