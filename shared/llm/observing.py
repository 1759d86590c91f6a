"""A model client whose calls are observed: a span and measures for each, in the words of OpenTelemetry's conventions.

Source: OpenTelemetry semantic conventions for generative AI clients, spans and metrics (v1.41).
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime

from shared.clock import Clock
from shared.contracts import Usage
from shared.errors import NoUsableAnswer
from shared.llm.endpoint import endpoint_host
from shared.llm.model import ModelClient, ModelReply, ModelRequest
from shared.llm.openai import Endpoint
from shared.telemetry import names
from shared.telemetry.attributes import (
    COST_USD,
    ERROR_TYPE,
    INPUT_MESSAGES,
    INPUT_TOKENS,
    OPERATION_NAME,
    OUTPUT_MESSAGES,
    OUTPUT_TOKENS,
    OUTPUT_TYPE,
    PROVIDER_NAME,
    REQUEST_MAX_TOKENS,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    SERVER_ADDRESS,
    SYSTEM_INSTRUCTIONS,
    TOKENS_KIND,
)
from shared.telemetry.telemetry import Attributes, Measure, Span, Telemetry

CHAT = "chat"

_PROVIDERS = {
    ".api.openai.com": "openai",
    ".openai.azure.com": "azure.ai.openai",
    ".services.ai.azure.com": "azure.ai.inference",
    ".cognitiveservices.azure.com": "azure.ai.openai",
    ".generativelanguage.googleapis.com": "gcp.gemini",
    ".api.anthropic.com": "anthropic",
    ".api.mistral.ai": "mistral_ai",
    ".api.deepseek.com": "deepseek",
    ".api.groq.com": "groq",
    ".api.x.ai": "x_ai",
}
OTHER_PROVIDER = "openai_compatible"
"""The provider of an endpoint whose host tells nothing more."""


class ObservedModel:
    """A `ModelClient` that tells `telemetry` of every call of `model`, which is at `endpoint`."""

    def __init__(
        self, model: ModelClient, telemetry: Telemetry, clock: Clock, endpoint: Callable[[], Endpoint]
    ) -> None:
        self._model = model
        self._telemetry = telemetry
        self._clock = clock
        self._endpoint = endpoint

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One answer; see `ModelClient.complete`."""
        endpoint, begun = self._endpoint(), self._clock.now()
        asked = _asked(endpoint)
        with self._telemetry.span(names.CHAT, endpoint.model, attributes={**asked, **_limits(request)}) as span:
            if self._telemetry.shows_content:
                span.set(_prompt(request))
            try:
                reply = await self._model.complete(request)
            except BaseException as error:
                paid = error.usage if isinstance(error, NoUsableAnswer) else None
                self._tell(span, asked, paid or Usage(), begun, error)
                raise
            self._tell(span, asked, reply.usage, begun, None)
            if self._telemetry.shows_content:
                span.set(_answer(reply))
            return reply

    def _tell(
        self, span: Span, asked: dict[str, str], usage: Usage, begun: datetime, error: BaseException | None
    ) -> None:
        span.set(_used(usage))
        seconds = (self._clock.now() - begun).total_seconds()
        self._telemetry.record(_measures(asked, usage, seconds, type(error).__name__ if error else None))

    async def close(self) -> None:
        """Let go of the model's connections."""
        await self._model.close()


def provider_of(host: str) -> str:
    """Who serves the models at `host`, under the name that the conventions give them."""
    return next((name for ending, name in _PROVIDERS.items() if f".{host}".endswith(ending)), OTHER_PROVIDER)


def _asked(endpoint: Endpoint) -> dict[str, str]:
    host = endpoint_host(endpoint)
    return {
        OPERATION_NAME: CHAT,
        PROVIDER_NAME: provider_of(host),
        REQUEST_MODEL: endpoint.model,
        SERVER_ADDRESS: host,
    }


def _used(usage: Usage) -> Attributes:
    known = bool(usage.input_tokens or usage.output_tokens)
    return {
        RESPONSE_MODEL: usage.model,
        INPUT_TOKENS: usage.input_tokens if known else None,
        OUTPUT_TOKENS: usage.output_tokens if known else None,
        COST_USD: usage.cost_usd if known else None,
    }


def _limits(request: ModelRequest) -> Attributes:
    return {
        REQUEST_MAX_TOKENS: request.max_output_tokens,
        OUTPUT_TYPE: "json" if request.format else "text",
    }


def _prompt(request: ModelRequest) -> Attributes:
    asked = [{"role": "user", "parts": [{"type": "text", "content": request.user}]}]
    return {
        SYSTEM_INSTRUCTIONS: json.dumps([{"type": "text", "content": request.system}], ensure_ascii=False),
        INPUT_MESSAGES: json.dumps(asked, ensure_ascii=False),
    }


def _answer(reply: ModelReply) -> Attributes:
    said = [{"role": "assistant", "parts": [{"type": "text", "content": reply.text}], "finish_reason": "stop"}]
    return {OUTPUT_MESSAGES: json.dumps(said, ensure_ascii=False)}


def _measures(asked: dict[str, str], usage: Usage, seconds: float, failure: str | None) -> Iterator[Measure]:
    about = {**asked, RESPONSE_MODEL: usage.model}
    yield Measure(names.OPERATION_DURATION, seconds, {**about, ERROR_TYPE: failure})
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if usage.input_tokens or usage.output_tokens:
            yield Measure(names.TOKEN_USAGE, tokens, {**about, TOKENS_KIND: kind})
