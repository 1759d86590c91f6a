"""The model client on the `openai` package: OpenAI, Azure OpenAI (v1 endpoint), Gemini, Anthropic, Ollama, by base URL.

Only chat completions are used, which all of those serve. The package is imported on the first call, because it
costs a cold start more than the rest of the app together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.contracts import Usage
from shared.errors import (
    ConfigurationError,
    ModelAnswerInvalid,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
    MusterError,
)
from shared.llm.model import ModelReply, ModelRequest
from shared.llm.prices import cost_usd

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion

type ApiKey = str | Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is. `api_key` is a key, or gives a fresh Entra ID token for each call."""

    base_url: str | None
    api_key: ApiKey
    model: str


class OpenAIModel:
    """A model behind an OpenAI-compatible endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        if not endpoint.model:
            raise ConfigurationError("MUSTER_MODEL_NAME is empty: name the model, or the Azure OpenAI deployment")
        self._endpoint = endpoint
        self._client: AsyncOpenAI | None = None

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One chat completion; see `ModelClient.complete`."""
        import openai

        if self._client is None:
            self._client = openai.AsyncOpenAI(
                base_url=self._endpoint.base_url, api_key=self._endpoint.api_key, max_retries=0
            )
        try:
            completion = await self._client.chat.completions.create(
                model=self._endpoint.model,
                messages=[
                    {"role": "system", "content": request.system},
                    {"role": "user", "content": request.user},
                ],
                max_completion_tokens=request.max_output_tokens,
                timeout=request.timeout.total_seconds(),
            )
        except openai.OpenAIError as error:
            raise self._translated(error) from error
        return self._reply(completion)

    async def close(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            await self._client.close()

    def _reply(self, completion: ChatCompletion) -> ModelReply:
        choice = completion.choices[0] if completion.choices else None
        text = (choice.message.content or "").strip() if choice else ""
        if choice is not None and choice.finish_reason == "content_filter":
            raise ModelRefused("the model's content filter stopped the answer")
        if choice is not None and choice.finish_reason == "length":
            raise ModelAnswerInvalid("the answer was cut at MUSTER_MODEL_MAX_OUTPUT_TOKENS")
        if not text:
            raise ModelAnswerInvalid("the model answered with nothing")
        return ModelReply(text=text, usage=self._usage(completion))

    def _usage(self, completion: ChatCompletion) -> Usage:
        model = completion.model or self._endpoint.model
        if completion.usage is None:
            return Usage(cost_usd=None, model=model)
        tokens_in, tokens_out = completion.usage.prompt_tokens, completion.usage.completion_tokens
        cost = cost_usd(model, tokens_in, tokens_out)
        if cost is None:
            cost = cost_usd(self._endpoint.model, tokens_in, tokens_out)
        return Usage(input_tokens=tokens_in, output_tokens=tokens_out, cost_usd=cost, model=model)

    def _translated(self, error: Exception) -> MusterError:
        import openai

        where = self._endpoint.base_url or "api.openai.com"
        match error:
            case openai.RateLimitError():
                return ModelRateLimited(f"{where} is limiting requests", retry_after=_retry_after(error.response))
            case openai.APITimeoutError():
                return ModelUnavailable(f"{where} did not answer in time")
            case openai.APIConnectionError():
                return ModelUnavailable(f"{where} cannot be reached: {error.__cause__ or error}")
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return ConfigurationError(f"{where} refused the key or identity (HTTP {error.status_code})")
            case openai.APIStatusError() if error.status_code >= 500 or error.status_code in (408, 409):
                return ModelUnavailable(
                    f"{where} answered HTTP {error.status_code}", retry_after=_retry_after(error.response)
                )
            case openai.APIStatusError():
                return ModelRefused(f"{where} answered HTTP {error.status_code}: {error.message}")
            case openai.APIResponseValidationError():
                return ModelAnswerInvalid(f"{where} answered with something that is no chat completion")
            case _:
                return ModelUnavailable(f"{where}: {error}")


def _retry_after(response: Any) -> timedelta | None:
    """The wait that a response asks for in whole or decimal seconds; a date is not worth a clock here."""
    try:
        return timedelta(seconds=float(response.headers["retry-after"]))
    except (KeyError, ValueError, OverflowError):
        return None
