"""This app with two agents in place of the writer and the editor: they make, and pass on, an article of 20 MB."""

import azure.durable_functions as df
import azure.functions as func

from agents.activities import activity_functions
from agents.catalog import Catalog
from agents.context import AgentContext
from agents.delivery import QueueConsumer
from agents.publisher import PUBLISHER
from agents.queues import queue_functions
from agents.runner import AgentRunner
from agents.spec import AgentSpec
from orchestrations.activities import orchestration_activities
from orchestrations.http_api import run_routes
from orchestrations.orchestrators import orchestrator_functions
from orchestrations.result_routes import result_routes
from orchestrations.start_routes import start_routes
from shared.artifacts.payloads import ArtifactPayloads
from shared.contracts import AgentInput
from shared.resources import Resources
from shared.settings import load_settings

LINES = 400_000
LINE = "The tide comes in, and it goes out again, as it does.\n"


async def write(context: AgentContext, given: AgentInput) -> str:
    return "# Tides\n\n" + LINE * LINES


async def edit(context: AgentContext, given: AgentInput) -> str:
    draft = given.earlier[-1].output
    if not isinstance(draft, str):
        raise TypeError(f"the draft is no text: {draft!r:.100}")
    return draft + "The end.\n"


CATALOG = Catalog(
    [
        AgentSpec(name="writer", description="Writes at length.", handler=write, uses_model=False),
        AgentSpec(name="editor", description="Adds the end.", handler=edit, uses_model=False),
        PUBLISHER,
    ]
)

resources = Resources.from_settings(load_settings())
runner = AgentRunner(CATALOG, resources)

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.configure_large_payloads(payload_store=ArtifactPayloads(resources.artifacts))
for blueprint in (
    queue_functions(CATALOG, QueueConsumer(runner, resources)),
    activity_functions(CATALOG, runner, resources.circuits, resources.clock),
    orchestrator_functions(),
    orchestration_activities(CATALOG.cards, resources),
    start_routes(CATALOG.cards, resources),
    run_routes(resources),
    result_routes(resources),
):
    app.register_functions(blueprint)
