"""The outside things of one process, as the settings choose them; each connects on first use, so making it is cheap."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from shared.artifacts.choice import artifact_store
from shared.artifacts.store import ArtifactStore
from shared.breaker import CircuitBreaker, model_circuit
from shared.clock import Clock, SystemClock
from shared.llm.breaking import CircuitedModel
from shared.llm.endpoint import endpoint_host, resolve_endpoint, resolve_fallback
from shared.llm.guard import GuardedModel, RateLimit
from shared.llm.model import ModelClient
from shared.llm.observing import ObservedModel
from shared.llm.openai import Endpoint, OpenAIModel
from shared.memory.choice import memory_store
from shared.memory.embedder import Embedder
from shared.memory.store import MemoryStore
from shared.messaging.bus import MessageBus
from shared.messaging.servicebus import Namespace, ServiceBus
from shared.settings import Settings
from shared.state.choice import circuit_store, state_store
from shared.state.store import StateStore
from shared.telemetry.choice import chosen_telemetry
from shared.telemetry.off import OFF
from shared.telemetry.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Resources:
    """What agents and orchestrations work with. Tests pass twins in.

    Without an `embedder` facts are searched by their words.
    """

    settings: Settings
    store: StateStore
    bus: MessageBus
    artifacts: ArtifactStore
    model: ModelClient
    memory: MemoryStore
    clock: Clock
    circuits: CircuitBreaker
    embedder: Embedder | None = None
    telemetry: Telemetry = OFF

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The resources that `settings` name; nothing is opened or reached yet. Raises `ConfigurationError`."""
        clock = SystemClock()
        artifacts = artifact_store(settings)
        telemetry = chosen_telemetry(settings)
        circuits = CircuitBreaker(circuit_store(settings), clock, telemetry=telemetry)
        return cls(
            settings=settings,
            store=state_store(settings, artifacts),
            bus=ServiceBus(
                Namespace(
                    connection_string=settings.service_bus or None,
                    host_name=settings.service_bus_host or None,
                    client_id=settings.client_id or None,
                )
            ),
            artifacts=artifacts,
            model=_model(settings, clock, circuits, telemetry),
            memory=memory_store(settings),
            clock=clock,
            circuits=circuits,
            telemetry=telemetry,
        )


def _model(settings: Settings, clock: Clock, circuits: CircuitBreaker, telemetry: Telemetry) -> ModelClient:
    def endpoint(resolve: Callable[[Settings], Endpoint]) -> ModelClient:
        # What is not configured is said when a model is asked for, and not before.
        model: ModelClient = OpenAIModel(lambda: resolve(settings))
        if telemetry is not OFF:
            model = ObservedModel(model, telemetry, clock, lambda: resolve(settings))
        return CircuitedModel(
            model,
            circuits,
            clock,
            lambda: model_circuit(endpoint_host(resolve(settings))),
        )

    fallback = endpoint(resolve_fallback) if settings.model_fallback_name else None
    limit = RateLimit(settings.model_requests_per_minute or None, settings.model_tokens_per_minute or None)
    return GuardedModel(endpoint(resolve_endpoint), clock, limit=limit, fallback=fallback)
