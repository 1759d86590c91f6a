"""The app put together over its outside things: whoever has others composes the same app over those."""

from collections.abc import Callable

import azure.durable_functions as df
import azure.functions as func

from agents.activities import activity_functions
from agents.catalog import CATALOG, Catalog
from agents.delivery import QueueConsumer
from agents.http_api import agent_routes
from agents.memory_api import memory_routes
from agents.queues import queue_functions
from agents.runner import AgentRunner
from agents.subscriptions import EventConsumer, subscription_functions
from orchestrations.activities import orchestration_activities
from orchestrations.http_api import run_routes
from orchestrations.operation_routes import operation_routes
from orchestrations.orchestrators import orchestrator_functions
from orchestrations.outside_events import outside_event_functions
from orchestrations.result_routes import result_routes
from orchestrations.runs_api import runs_routes
from orchestrations.start_queue import start_queue_functions
from orchestrations.start_routes import start_routes
from shared.artifacts.payloads import ArtifactPayloads
from shared.resources import Resources


def compose(
    resources: Resources,
    *,
    catalog: Catalog = CATALOG,
    make_consumer: Callable[[AgentRunner, Resources], QueueConsumer] = QueueConsumer,
) -> df.DFApp:
    """The app with every function that `catalog` and the patterns make, all of them working with `resources`.

    `make_consumer` makes what handles the deliveries of agents' queues.
    """
    runner = AgentRunner(catalog, resources)
    consumer = make_consumer(runner, resources)
    app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
    app.configure_large_payloads(payload_store=ArtifactPayloads(resources.artifacts))
    for blueprint in (
        queue_functions(catalog, consumer, resources.telemetry),
        subscription_functions(catalog, EventConsumer(consumer), resources.telemetry),
        activity_functions(catalog, runner, resources.circuits, resources.clock, resources.telemetry),
        agent_routes(catalog),
        memory_routes(resources),
        orchestrator_functions(),
        orchestration_activities(catalog.cards, resources),
        start_routes(catalog.cards, resources),
        start_queue_functions(catalog.cards, resources),
        outside_event_functions(catalog.cards, resources),
        run_routes(resources),
        runs_routes(resources),
        result_routes(resources),
        operation_routes(catalog.cards, resources),
    ):
        app.register_functions(blueprint)
    return app
