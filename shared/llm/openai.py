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

    def __init__(self, resolve: Callable[[], Endpoint]) -> None:
        """`resolve` names the endpoint on the first call, so that an app without a model still starts."""
        self._resolve = resolve
        self._connected: tuple[Endpoint, AsyncOpenAI] | None = None

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One chat completion; see `ModelClient.complete`."""
        import openai

        endpoint, client = self._connect()
        try:
            completion = await client.chat.completions.create(
                model=endpoint.model,
                messages=[
                    {"role": "system", "content": request.system},
                    {"role": "user", "content": request.user},
                ],
                max_completion_tokens=request.max_output_tokens,
                timeout=request.timeout.total_seconds(),
            )
        except openai.OpenAIError as error:
            raise _translated(error, str(client.base_url.host)) from error
        return _reply(completion, endpoint.model)

    async def close(self) -> None:
        """Close the client's connections."""
        if self._connected is not None:
            _, client = self._connected
            await client.close()
            self._connected = None

    def _connect(self) -> tuple[Endpoint, AsyncOpenAI]:
        import openai

        if self._connected is None:
            endpoint = self._resolve()
            client = openai.AsyncOpenAI(base_url=endpoint.base_url, api_key=endpoint.api_key, max_retries=0)
            self._connected = (endpoint, client)
        return self._connected


def _reply(completion: ChatCompletion, asked: str) -> ModelReply:
    choice = completion.choices[0] if completion.choices else None
    text = (choice.message.content or "").strip() if choice else ""
    if choice is not None and choice.finish_reason == "content_filter":
        raise ModelRefused("the model's content filter stopped the answer")
    if choice is not None and choice.finish_reason == "length":
        raise ModelAnswerInvalid("the answer was cut at MUSTER_MODEL_MAX_OUTPUT_TOKENS")
    if not text:
        raise ModelAnswerInvalid("the model answered with nothing")
    return ModelReply(text=text, usage=_usage(completion, asked))


def _usage(completion: ChatCompletion, asked: str) -> Usage:
    model = completion.model or asked
    if completion.usage is None:
        return Usage(cost_usd=None, model=model)
    tokens_in, tokens_out = completion.usage.prompt_tokens, completion.usage.completion_tokens
    cost = cost_usd(model, tokens_in, tokens_out)
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        # A deployment may bear any name, so either name may be the one in the price table.
        cost_usd=cost if cost is not None else cost_usd(asked, tokens_in, tokens_out),
        model=model,
    )


def _translated(error: Exception, where: str) -> MusterError:
    import openai

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
            wait = _retry_after(error.response)
            return ModelUnavailable(f"{where} answered HTTP {error.status_code}", retry_after=wait)
        case openai.APIStatusError():
            return ModelRefused(f"{where} answered HTTP {error.status_code}: {error.message}")
        case _:
            return ModelAnswerInvalid(f"{where} answered with something that is no chat completion: {error}")


def _retry_after(response: Any) -> timedelta | None:
    """The wait that a response asks for in whole or decimal seconds; a date is not worth a clock here."""
    try:
        return timedelta(seconds=float(response.headers["retry-after"]))
    except (KeyError, ValueError, OverflowError):
        return None
