"""The outside things of one process, as the settings choose them; each connects on first use, so making it is cheap."""

from dataclasses import dataclass
from typing import Self

from shared.artifacts.choice import artifact_store
from shared.artifacts.store import ArtifactStore
from shared.clock import Clock, SystemClock
from shared.llm.endpoint import resolve_endpoint, resolve_fallback
from shared.llm.guard import GuardedModel, RateLimit
from shared.llm.model import ModelClient
from shared.llm.openai import OpenAIModel
from shared.messaging.bus import MessageBus
from shared.messaging.servicebus import Namespace, ServiceBus
from shared.settings import Settings
from shared.state.choice import state_store
from shared.state.store import StateStore


@dataclass(frozen=True, slots=True)
class Resources:
    """What agents and orchestrations work with. Tests pass twins in."""

    settings: Settings
    store: StateStore
    bus: MessageBus
    artifacts: ArtifactStore
    model: ModelClient
    clock: Clock

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The resources that `settings` name; nothing is opened or reached yet. Raises `ConfigurationError`."""
        clock = SystemClock()
        artifacts = artifact_store(settings)
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
            model=_model(settings, clock),
            clock=clock,
        )


def _model(settings: Settings, clock: Clock) -> ModelClient:
    fallback = OpenAIModel(lambda: resolve_fallback(settings)) if settings.model_fallback_name else None
    limit = RateLimit(settings.model_requests_per_minute or None, settings.model_tokens_per_minute or None)
    return GuardedModel(OpenAIModel(lambda: resolve_endpoint(settings)), clock, limit=limit, fallback=fallback)
