"""The offline model misbehaves exactly as it is told, for whom it is told and as often, and never otherwise."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Literal

import aiohttp
import httpx2 as httpx
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from devhost.clock import ManualClock
from tests.support.eventually import eventually
from tests.support.offline_model import client


class Verdict(BaseModel):
    """An answer with an enum."""

    word: Literal["yes", "no"]
    why: str


class Model:
    """A served offline model with its clock."""

    def __init__(self, asking: AsyncOpenAI, clock: ManualClock) -> None:
        self.asking = asking
        self.clock = clock

    async def faults(self, method: str, body: Any = None) -> tuple[int, Any]:
        """Ask `/v1/faults`; bytes are sent as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.asking.base_url}faults", data=data) as answer,
        ):
            return answer.status, await answer.json()

    async def set(self, *rules: Any) -> None:
        """Put rules in force."""
        status, answer = await self.faults("PUT", {"rules": rules})
        assert status == 200, answer

    async def say(self, system: str = "You are a writer.", **more: Any) -> Any:
        """What the model answers to a question about bees."""
        messages: Any = [{"role": "system", "content": system}, {"role": "user", "content": "Bees"}]
        return await self.asking.chat.completions.create(model="m", messages=messages, **more)


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    clock = ManualClock()
    async with client(clock) as asking:
        yield Model(asking, clock)


async def test_there_are_no_faults_until_somebody_sets_them_and_none_once_they_are_removed(model: Model) -> None:
    assert await model.faults("GET") == (200, {"rules": []})
    await model.set({"status": 500})
    with pytest.raises(openai.InternalServerError):
        await model.say()
    assert await model.faults("GET") == (200, {"rules": [{"status": 500, "used": 1}]})
    assert await model.faults("DELETE") == (200, {"rules": []})
    assert (await model.say()).choices[0].message.content


async def test_a_rule_holds_for_whom_it_names_and_so_many_times_and_the_next_one_that_fits_follows(
    model: Model,
) -> None:
    await model.set({"system": "editor", "status": 503, "times": 1}, {"system": "editor", "status": 400}, {})
    assert (await model.say("You are a writer.")).choices
    with pytest.raises(openai.InternalServerError, match="asked to fail: HTTP 503"):
        await model.say("You are an editor.")
    with pytest.raises(openai.BadRequestError):
        await model.say("You are an editor.")
    _, shown = await model.faults("GET")
    assert [rule["used"] for rule in shown["rules"]] == [1, 1, 1]


async def test_a_rule_may_name_the_question_instead(model: Model) -> None:
    await model.set({"user": "Wasps", "status": 500}, {"user": "Bees", "status": 429, "retry_after": 7})
    with pytest.raises(openai.RateLimitError) as limited:
        await model.say()
    assert limited.value.response.headers["retry-after"] == "7"


async def test_a_delay_is_waited_out_on_the_clock_before_anything_else(model: Model) -> None:
    await model.set({"delay": 35, "status": 500})
    asking = asyncio.create_task(model.say())
    await eventually(lambda: model.clock.next_due is not None)
    assert model.clock.next_due == model.clock.now() + timedelta(seconds=35)
    model.clock.advance(timedelta(seconds=35))
    with pytest.raises(openai.InternalServerError):
        await asking


async def test_wrong_answers_are_completions_that_are_not_what_was_asked_for(model: Model) -> None:
    schema = {"name": "verdict", "schema": Verdict.model_json_schema(), "strict": True}
    wanted = {"type": "json_schema", "json_schema": schema}
    await model.set(
        *({"answer": wrong, "times": 1} for wrong in ("empty", "prose", "wrong_enum", "huge", "content_filter"))
    )
    answers = [(await model.say(response_format=wanted)).choices[0] for _ in range(6)]
    texts = [each.message.content for each in answers]
    assert texts[0] == ""
    assert texts[1].startswith("[offline model]")
    assert json.loads(texts[2])["word"] == "none of these"
    assert set(json.loads(texts[2])) == {"word", "why"}
    assert len(texts[3]) == 10 * 1024 * 1024
    assert [each.finish_reason for each in answers] == ["stop"] * 4 + ["content_filter", "stop"]
    assert Verdict.model_validate_json(texts[5])


@pytest.mark.parametrize("answer", ["half", "hang_up"])
async def test_a_response_that_breaks_off_is_a_lost_connection_to_the_client(model: Model, answer: str) -> None:
    await model.set({"answer": answer, "times": 1})
    with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError)):
        await model.say()
    assert (await model.say()).choices, "the next one is whole"


async def test_a_body_that_is_no_json_is_one(model: Model) -> None:
    await model.set({"answer": "no_json"})
    with pytest.raises((openai.OpenAIError, ValueError)):
        await model.say()


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (b"not json", None),
        ({}, "rules"),
        ({"rules": [{"delay": -1}]}, "rules.0.delay"),
        ({"rules": [{"delay": 3601}]}, "rules.0.delay"),
        ({"rules": [{}, {"status": 200}]}, "rules.1.status"),
        ({"rules": [{"answer": "rude"}]}, "rules.0.answer"),
        ({"rules": [{"times": 0}]}, "rules.0.times"),
        ({"rules": [{"agent": "writer"}]}, "rules.0.agent"),
        ({"rules": [{"system": ""}]}, "rules.0.system"),
        ({"rules": [{"status": 500, "answer": "empty"}]}, "rules.0"),
        ({"rules": [{"retry_after": 3}]}, "rules.0"),
        ({"rules": [{}] * 101}, "rules"),
    ],
)
async def test_rules_that_are_none_are_refused_with_the_field_and_change_nothing(
    model: Model, body: Any, parameter: str | None
) -> None:
    await model.set({"status": 500})
    status, answer = await model.faults("PUT", body)
    assert (status, answer["error"]["param"]) == (400, parameter)
    assert (await model.faults("GET"))[1] == {"rules": [{"status": 500, "used": 0}]}


async def test_every_fault_is_loud_in_the_log(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "devhost")
    await model.set({"status": 500, "times": 1})
    with pytest.raises(openai.InternalServerError):
        await model.say()
    await model.faults("DELETE")
    assert [record.getMessage() for record in caplog.records] == [
        "FAULT SET for the offline model: HTTP 500",
        "FAULT in the offline model: HTTP 500",
        "FAULTS REMOVED: the offline model behaves again",
    ]
