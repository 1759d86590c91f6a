"""What an operator asks over HTTP, beyond runs: dead letters and circuits."""

from collections.abc import Mapping

import azure.durable_functions as df

from orchestrations.cancel_routes import add_cancel_routes
from orchestrations.circuit_routes import add_circuit_routes
from orchestrations.dead_letter_routes import add_dead_letter_routes
from shared.cards import AgentCard
from shared.resources import Resources


def operation_routes(agents: Mapping[str, AgentCard], resources: Resources) -> df.Blueprint:
    """A blueprint with the routes of dead letters and of circuits."""
    blueprint = df.Blueprint()
    add_dead_letter_routes(blueprint, agents, resources)
    add_circuit_routes(blueprint, agents, resources.circuits)
    add_cancel_routes(blueprint, resources)
    return blueprint
