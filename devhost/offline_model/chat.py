"""The chat completions protocol: requests as they may come, answers and chunks as the `openai` client reads them.

Source: OpenAI's API reference, "Chat Completions". Parameters that steer a real model (temperature, seed, ...) are
taken and ignored; unknown ones are refused, as OpenAI refuses them.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from devhost.offline_model.json_schema import minimal_instance
from devhost.offline_model.prompt import read_prompt
from devhost.offline_model.text import answer_text

MODEL: Final = "offline-model"

# Anything is taken for these, and nothing is made of it.
IGNORED: Final = frozenset(
    {
        *("temperature", "top_p", "seed", "stop", "user", "frequency_penalty", "presence_penalty", "logit_bias"),
        *("logprobs", "top_logprobs", "metadata", "store", "service_tier", "reasoning_effort", "verbosity"),
        *("prediction", "modalities", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
        *("tools", "parallel_tool_calls"),
    }
)


class _Door(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ContentPart(BaseModel):
    """A part of a message; only the text of text parts is read."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="allow", frozen=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """The message's text, its parts joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(_Door):
    """What a stream tells besides the text."""

    include_usage: bool = False
    include_obfuscation: bool = False


class JsonSchemaFormat(BaseModel):
    """The schema structured output must follow."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    name: str
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(_Door):
    """Free text, any JSON object, or JSON after a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema goes with the type json_schema, and with no other")
        return self


class ChatRequest(_Door):
    """The body of `POST /v1/chat/completions`."""

    model: str = Field(min_length=1)
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: Literal[1] | None = 1

    tool_choice: Literal["none", "auto"] | None = None

    @property
    def instructions(self) -> str:
        """The texts of the system and developer messages."""
        return "\n\n".join(each.text for each in self.messages if each.role in {"system", "developer"})

    @property
    def question(self) -> str:
        """The text of the last user message."""
        return next((each.text for each in reversed(self.messages) if each.role == "user"), "")

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, given: Any) -> Any:
        return {key: value for key, value in given.items() if key not in IGNORED} if isinstance(given, dict) else given


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request. Token counts are words between blanks: simple, stated, and the same every time."""

    id: str
    model: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int

    def usage(self) -> dict[str, int]:
        """The `usage` object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }

    def completion(self, created: int) -> dict[str, Any]:
        """The `chat.completion` object; `created` is a Unix time in seconds."""
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return {**self._head("chat.completion", created), "choices": [choice], "usage": self.usage()}

    def chunks(self, created: int, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The `chat.completion.chunk` objects of a stream: the role, word by word, the end, and the usage if asked."""
        head = self._head("chat.completion.chunk", created)

        def chunk(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            return {**head, "choices": [choice]}

        yield chunk({"role": "assistant", "content": ""})
        for word in re.findall(r"\S+\s*|\s+", self.text):
            yield chunk({"content": word})
        yield chunk({}, self.finish_reason)
        if include_usage:
            yield {**head, "choices": [], "usage": self.usage()}

    def _head(self, kind: str, created: int) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": created, "model": self.model, "system_fingerprint": MODEL}


def answer(request: ChatRequest) -> Answer:
    """The one answer to `request`. Raises `UnsatisfiableSchemaError` for a schema nothing can be made for."""
    instructions, asked = request.instructions, request.question
    prompt = read_prompt(instructions, asked)
    wanted = request.response_format
    if wanted is not None and wanted.json_schema is not None:
        instance = minimal_instance(wanted.json_schema.schema_, prompt.topic, f"{instructions}\n{asked}")
        text = json.dumps(instance, ensure_ascii=False)
    elif wanted is not None and wanted.type == "json_object":
        text = json.dumps({"text": answer_text(prompt)}, ensure_ascii=False)
    else:
        text = answer_text(prompt)
    limit = request.max_completion_tokens or request.max_tokens
    text, cut = _limited(text, limit)
    digest = hashlib.sha256(request.model_dump_json(exclude={"stream", "stream_options"}).encode()).hexdigest()
    return Answer(
        id=f"chatcmpl-{digest[:24]}",
        model=request.model,
        text=text,
        finish_reason="length" if cut else "stop",
        prompt_tokens=sum(len(each.text.split()) for each in request.messages),
        completion_tokens=len(text.split()),
    )


def _limited(text: str, words: int | None) -> tuple[str, bool]:
    if words is None or len(text.split()) <= words:
        return text, False
    return " ".join(text.split()[:words]), True
