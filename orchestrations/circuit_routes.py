"""Circuits over HTTP: which agents and model endpoints are asked, and a person's word on it."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import azure.durable_functions as df
import azure.functions as func

from shared.breaker import CircuitBreaker, agent_circuit
from shared.cards import AgentCard
from shared.circuit import Circuit, CircuitState
from shared.contracts import Contract
from shared.errors import NotFound
from shared.http import answers_problems, json_response, read_body

_MODEL = re.compile(r"model\.[a-z0-9][a-z0-9.:-]{0,199}")


class ForceCircuit(Contract):
    """The body of `POST circuits/{name}`: hold it open or closed, or let it decide for itself again."""

    state: Literal["open", "closed", "auto"]


class CircuitView(Contract):
    """A circuit as it is shown. `failures` counts those in a row; `until` is when the next probe may be made."""

    name: str
    state: CircuitState
    forced: bool
    failures: int
    until: datetime | None
    changed_at: datetime | None
    cause: str | None


def add_circuit_routes(blueprint: df.Blueprint, agents: Mapping[str, AgentCard], circuits: CircuitBreaker) -> None:
    """Add `GET circuits` and `POST circuits/{name}`."""

    @blueprint.function_name("list_circuits")
    @blueprint.route("circuits", methods=["GET"])
    @answers_problems
    async def list_circuits(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001
        known = {agent_circuit(agent): Circuit(name=agent_circuit(agent)) for agent in agents}
        known |= {circuit.name: circuit for circuit in await circuits.read_all()}
        return json_response({"circuits": [circuit_view(known[name]) for name in sorted(known)]})

    @blueprint.function_name("force_circuit")
    @blueprint.route("circuits/{name}", methods=["POST"])
    @answers_problems
    async def force_circuit(req: func.HttpRequest) -> func.HttpResponse:
        name = req.route_params["name"]
        if name not in {agent_circuit(agent) for agent in agents} and not _MODEL.fullmatch(name):
            raise NotFound(f"there is no circuit {name[:100]}: see GET circuits")
        wanted = read_body(req, ForceCircuit).state
        held = await circuits.force(name, None if wanted == "auto" else CircuitState(wanted))
        return json_response(circuit_view(held))


def circuit_view(circuit: Circuit) -> CircuitView:
    """What is shown of a circuit."""
    return CircuitView(
        name=circuit.name,
        state=circuit.state,
        forced=circuit.forced,
        failures=len(circuit.failures),
        until=circuit.until,
        changed_at=circuit.changed_at,
        cause=circuit.cause,
    )
