"""The orchestrator functions: the patterns' generators under their durable names."""

import azure.durable_functions as df

from orchestrations.compensation import cancel_run
from orchestrations.registry import PATTERNS
from shared import names


def orchestrator_functions() -> df.Blueprint:
    """A blueprint with one orchestrator for each pattern, and the one that ends runs which are cancelled."""
    blueprint = df.Blueprint()
    made = {names.orchestrator(pattern.name): pattern.orchestrator for pattern in PATTERNS.values()}
    for name, orchestrator in {**made, names.ORCHESTRATOR_CANCEL_RUN: cancel_run}.items():
        blueprint.function_name(name)(
            blueprint.orchestration_trigger(context_name="context", orchestration=name)(orchestrator)
        )
    return blueprint
