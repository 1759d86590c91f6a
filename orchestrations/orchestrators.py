"""The orchestrator functions: the patterns' generators under their durable names."""

import azure.durable_functions as df

from orchestrations.sequential import sequential
from shared import names


def orchestrator_functions() -> df.Blueprint:
    """A blueprint with one orchestrator for each pattern."""
    blueprint = df.Blueprint()
    blueprint.orchestration_trigger(context_name="context", orchestration=names.ORCHESTRATOR_SEQUENTIAL)(sequential)
    return blueprint
