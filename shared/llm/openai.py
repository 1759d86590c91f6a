"""The model client on the `openai` package: OpenAI, Azure OpenAI (v1 endpoint), Gemini, Anthropic, Ollama, by base URL.

Only chat completions are used, which all of those serve. The package is imported on the first call, because it
costs a cold start more than the rest of the app together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeIs

from shared.contracts import Usage
from shared.errors import (
    ConfigurationError,
    ModelAnswerInvalid,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
    MusterError,
)
from shared.llm.model import AnswerFormat, ModelReply, ModelRequest
from shared.llm.prices import cost_usd

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion
    from openai.types.shared_params import ResponseFormatJSONSchema

# The most that JSON's numbers hold exactly. Who says more has not counted, and sums of it would overflow.
_MOST_TOKENS = 2**53

type ApiKey = str | Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is. `api_key` is a key, or gives a fresh Entra ID token for each call."""

    base_url: str | None
    api_key: ApiKey = field(repr=False)
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
        where = str(client.base_url.host)
        try:
            # The client's own timeout is for each read, so that an answer that trickles in would never meet it.
            async with asyncio.timeout(request.timeout.total_seconds()):
                completion = await client.chat.completions.create(
                    model=endpoint.model,
                    messages=[
                        {"role": "system", "content": request.system},
                        {"role": "user", "content": request.user},
                    ],
                    max_completion_tokens=request.max_output_tokens,
                    response_format=_response_format(request.format) if request.format else openai.omit,
                    timeout=request.timeout.total_seconds(),
                )
        except TimeoutError as error:
            raise ModelUnavailable(f"{where} did not answer in time") from error
        except openai.OpenAIError as error:
            raise _translated(error, where) from error
        except ValueError as error:
            raise ModelAnswerInvalid(f"{where} answered with something that is no JSON: {error}") from error
        try:
            return _reply(completion, endpoint.model)
        except (AttributeError, TypeError, LookupError) as error:
            # The client takes any JSON for a completion, and fails where it is read.
            raise ModelAnswerInvalid(f"{where} answered with something that is no chat completion") from error

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


def _response_format(wanted: AnswerFormat) -> ResponseFormatJSONSchema:
    schema = dict(wanted.schema)
    return {"type": "json_schema", "json_schema": {"name": wanted.name, "schema": schema, "strict": True}}


def _reply(completion: ChatCompletion, asked: str) -> ModelReply:
    usage = _usage(completion, asked)
    if not completion.choices:
        raise ModelAnswerInvalid("the model answered with nothing", usage=usage)
    choice = completion.choices[0]
    # JSON can hold half of a surrogate pair, which no other encoding of the text can.
    text = (choice.message.content or "").strip().encode(errors="replace").decode()
    if choice.finish_reason == "content_filter":
        raise ModelRefused("the model's content filter stopped the answer", usage=usage)
    if choice.finish_reason == "length":
        raise ModelAnswerInvalid("the answer was cut at the most tokens it may have", usage=usage)
    if not text and choice.message.refusal:
        raise ModelRefused(f"the model refused: {choice.message.refusal[:500]}", usage=usage)
    if not text:
        raise ModelAnswerInvalid("the model answered with nothing", usage=usage)
    return ModelReply(text=text, usage=usage)


def _usage(completion: ChatCompletion, asked: str) -> Usage:
    model = completion.model if isinstance(completion.model, str) and completion.model else asked
    counts: Any = completion.usage
    tokens_in, tokens_out = getattr(counts, "prompt_tokens", None), getattr(counts, "completion_tokens", None)
    if not _is_count(tokens_in) or not _is_count(tokens_out):
        return Usage(cost_usd=None, model=model)
    cost = cost_usd(model, tokens_in, tokens_out)
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        # A deployment may bear any name, so either name may be the one in the price table.
        cost_usd=cost if cost is not None else cost_usd(asked, tokens_in, tokens_out),
        model=model,
    )


def _is_count(tokens: Any) -> TypeIs[int]:
    return isinstance(tokens, int) and 0 <= tokens <= _MOST_TOKENS


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
