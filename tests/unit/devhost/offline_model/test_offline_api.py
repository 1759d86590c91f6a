import asyncio
import json
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from openai import BadRequestError
from pydantic import BaseModel

from devhost.clock import ManualClock
from devhost.offline_model.prompt import LABEL
from tests.support.offline_model import client, serving

MESSAGES: Any = [{"role": "system", "content": "You are a writer."}, {"role": "user", "content": "Bees"}]


async def test_the_stock_client_gets_the_same_labelled_text_every_time_with_usage_in_words() -> None:
    async with client() as openai:
        first = await openai.chat.completions.create(model="m", messages=MESSAGES, temperature=0.3, seed=1)
        second = await openai.chat.completions.create(model="m", messages=MESSAGES)
    text = first.choices[0].message.content
    assert text is not None
    assert text.startswith(LABEL)
    assert text == second.choices[0].message.content
    assert first.id == second.id
    assert first.choices[0].finish_reason == "stop"
    assert first.usage is not None
    assert first.usage.prompt_tokens == 5
    assert first.usage.completion_tokens == len(text.split())
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens


async def test_a_stream_carries_the_same_text_and_usage_only_when_asked() -> None:
    async with client() as openai:
        whole = await openai.chat.completions.create(model="m", messages=MESSAGES)
        for options, has_usage in (({"include_usage": True}, True), (None, False)):
            asked: Any = {"model": "m", "messages": MESSAGES, "stream": True, "stream_options": options}
            chunks = [chunk async for chunk in await openai.chat.completions.create(**asked)]
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            assert text == whole.choices[0].message.content
            assert (chunks[-1].usage == whole.usage) is has_usage
            assert len(chunks) > 10


class Verdict(BaseModel):
    verdict: str
    score: int


async def test_structured_output_is_parsed_by_the_stock_client() -> None:
    async with client() as openai:
        parsed = await openai.chat.completions.parse(model="m", messages=MESSAGES, response_format=Verdict)
        free = await openai.chat.completions.create(
            model="m", messages=MESSAGES, response_format={"type": "json_object"}
        )
    verdict = parsed.choices[0].message.parsed
    assert verdict is not None
    assert verdict.verdict.startswith(LABEL)
    assert json.loads(free.choices[0].message.content or "")["text"].startswith(LABEL)


async def test_a_text_over_the_limit_is_cut_and_says_so() -> None:
    async with client() as openai:
        cut = await openai.chat.completions.create(model="m", messages=MESSAGES, max_completion_tokens=5)
    assert cut.choices[0].finish_reason == "length"
    assert len((cut.choices[0].message.content or "").split()) == 5


async def test_parts_of_a_message_are_read() -> None:
    parts: Any = [
        {"role": "user", "content": [{"type": "text", "text": "Bees"}, {"type": "image_url", "image_url": {}}]}
    ]
    async with client() as openai:
        answer = await openai.chat.completions.create(model="m", messages=parts)
    assert "Bees" in (answer.choices[0].message.content or "")


async def test_the_model_thinks_as_long_as_told() -> None:
    clock = ManualClock()
    async with client(clock, timedelta(seconds=5)) as openai:
        asking = asyncio.create_task(openai.chat.completions.create(model="m", messages=MESSAGES))
        while not clock._sleepers:
            await asyncio.sleep(0.01)
        assert not asking.done()
        clock.advance(timedelta(seconds=5))
        await asking


async def test_the_models_are_listed() -> None:
    async with client() as openai:
        assert [model.id async for model in openai.models.list()] == ["offline-model"]


@pytest.mark.parametrize(
    ("body", "message", "parameter"),
    [
        (b"{", "could not parse the JSON body", None),
        (b"[]", "Invalid value", None),
        (b"{}", "model", "model"),
        ({"model": "m", "messages": []}, "messages", "messages"),
        ({"model": "m", "messages": [{"role": "boss", "content": "x"}]}, "role", "messages.0.role"),
        ({"model": "m", "messages": MESSAGES, "colour": 1}, "Unrecognized request argument supplied: colour", "colour"),
        ({"model": "m", "messages": MESSAGES, "max_tokens": 0}, "max_tokens", "max_tokens"),
        ({"model": "m", "messages": MESSAGES, "n": 2}, "n", "n"),
        ({"model": "m", "messages": MESSAGES, "tool_choice": "required"}, "tool_choice", "tool_choice"),
        (
            {
                "model": "m",
                "messages": MESSAGES,
                "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "tuple"}}},
            },
            "Invalid schema for response_format",
            "response_format",
        ),
        (
            {"model": "m", "messages": MESSAGES, "response_format": {"type": "json_schema"}},
            "json_schema",
            "response_format",
        ),
    ],
)
async def test_a_malformed_request_is_a_400_in_openais_words(body: Any, message: str, parameter: str | None) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body)
    async with (
        serving(ManualClock()) as url,
        aiohttp.ClientSession() as http,
        http.post(f"{url}/chat/completions", data=data) as response,
    ):
        error = (await response.json())["error"]
    assert response.status == 400
    assert message in error["message"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == parameter


async def test_the_stock_client_raises_its_own_error_for_a_malformed_request() -> None:
    async with client() as openai:
        with pytest.raises(BadRequestError, match="messages"):
            await openai.chat.completions.create(model="m", messages=[])
