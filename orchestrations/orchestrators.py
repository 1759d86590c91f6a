"""The orchestrator functions: the patterns' generators under their durable names."""

import azure.durable_functions as df

from orchestrations.registry import PATTERNS
from shared import names


def orchestrator_functions() -> df.Blueprint:
    """A blueprint with one orchestrator for each pattern."""
    blueprint = df.Blueprint()
    for pattern in PATTERNS.values():
        name = names.orchestrator(pattern.name)
        blueprint.function_name(name)(
            blueprint.orchestration_trigger(context_name="context", orchestration=name)(pattern.orchestrator)
        )
    return blueprint
