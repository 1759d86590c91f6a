"""What the model client guarantees of every answer an endpoint may give: one request, and a reply or a typed error.

The real `openai` package talks to a server on loopback.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from shared.contracts import Usage
from shared.errors import (
    ConfigurationError,
    ModelAnswerInvalid,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
    MusterError,
    NoUsableAnswer,
    RetryableError,
)
from shared.llm.model import AnswerFormat, ModelReply, ModelRequest
from shared.llm.openai import Endpoint, OpenAIModel
from tests.support.model_server import (
    Answer,
    ModelServer,
    completion,
    hang,
    hang_up,
    model_server,
    raw,
    reply,
    trickle,
)
from tests.support.muster_host import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAID = Usage(input_tokens=1000, output_tokens=200, cost_usd=0.00065, model="gpt-5-mini-2026-08-07")


def request(**changes: Any) -> ModelRequest:
    fields: dict[str, Any] = {
        "system": "You are.",
        "user": "Do.",
        "max_output_tokens": 77,
        "timeout": timedelta(seconds=5),
    }
    return ModelRequest(**{**fields, **changes})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[tuple[ModelServer, OpenAIModel]]:
    """One server and one client for all tests: making a client costs a fifth of a second."""
    async with model_server() as server:
        client = OpenAIModel(lambda: Endpoint(server.url, "key", "gpt-5-mini"))
        yield server, client
        await client.close()


@pytest.fixture
def server(running: tuple[ModelServer, OpenAIModel]) -> ModelServer:
    """The server, answering well and having been asked nothing."""
    running[0].answer = completion()
    running[0].requests.clear()
    running[0].headers.clear()
    return running[0]


@pytest.fixture
def model(running: tuple[ModelServer, OpenAIModel]) -> OpenAIModel:
    """The client of the server."""
    return running[1]


async def failure(server: ModelServer, model: OpenAIModel, answer: Answer, **changes: Any) -> MusterError:
    """The error that `answer` leads to, once it is shown that only one request was made for it."""
    server.answer = answer
    with pytest.raises(MusterError) as raised:
        await model.complete(request(**changes))
    assert len(server.requests) == 1, "retries are the queue's, so that each call is paid for knowingly"
    return raised.value


# -- what is asked ----------------------------------------------------------------------------------------------


async def test_the_request_carries_the_prompts_the_model_and_the_limit(server: ModelServer, model: OpenAIModel) -> None:
    await model.complete(request(system="Sei höflich 🌊", user="Schreibe."))
    assert server.requests == [
        {
            "model": "gpt-5-mini",
            "messages": [{"role": "system", "content": "Sei höflich 🌊"}, {"role": "user", "content": "Schreibe."}],
            "max_completion_tokens": 77,
        }
    ]
    assert server.headers[0]["authorization"] == "Bearer key"


async def test_a_format_travels_as_a_strict_json_schema(server: ModelServer, model: OpenAIModel) -> None:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    server.answer = completion("{}")
    await model.complete(request(format=AnswerFormat(name="Verdict", schema=schema)))
    wanted = server.requests[-1]["response_format"]
    assert wanted == {"type": "json_schema", "json_schema": {"name": "Verdict", "schema": schema, "strict": True}}
    await model.complete(request())
    assert "response_format" not in server.requests[-1]


async def test_an_identity_gives_a_fresh_token_for_each_call(server: ModelServer) -> None:
    given: list[str] = []

    async def token() -> str:
        given.append(f"token-{len(given) + 1}")
        return given[-1]

    model = OpenAIModel(lambda: Endpoint(server.url, token, "deployment"))
    await model.complete(request())
    await model.complete(request())
    await model.close()
    assert [headers["authorization"] for headers in server.headers] == ["Bearer token-1", "Bearer token-2"]


async def test_an_identity_that_is_refused_is_an_error_of_configuration(server: ModelServer) -> None:
    async def token() -> str:
        raise ConfigurationError("no identity")

    model = OpenAIModel(lambda: Endpoint(server.url, token, "deployment"))
    with pytest.raises(ConfigurationError, match="no identity"):
        await model.complete(request())
    await model.close()
    assert server.requests == []


async def test_the_endpoint_is_resolved_on_the_first_call_and_not_before() -> None:
    def nowhere() -> Endpoint:
        raise ConfigurationError("no model is configured")

    model = OpenAIModel(nowhere)
    with pytest.raises(ConfigurationError, match="no model"):
        await model.complete(request())
    await model.close()


async def test_a_closed_client_connects_again_when_it_is_used(model: OpenAIModel) -> None:
    await model.complete(request())
    await model.close()
    await model.close()
    assert (await model.complete(request())).text == "An answer."


async def test_many_calls_at_once_get_their_own_answers(server: ModelServer, model: OpenAIModel) -> None:
    replies = await asyncio.gather(*(model.complete(request()) for _ in range(25)))
    assert len(server.requests) == len(replies) == 25


# -- what is answered -------------------------------------------------------------------------------------------


async def test_an_answer_comes_with_its_tokens_and_its_price(server: ModelServer, model: OpenAIModel) -> None:
    assert await model.complete(request()) == ModelReply("An answer.", PAID)


async def test_white_space_around_an_answer_is_dropped(server: ModelServer, model: OpenAIModel) -> None:
    server.answer = completion("\n\n  An answer.\n")
    assert (await model.complete(request())).text == "An answer."


async def test_half_a_surrogate_pair_is_replaced_because_nothing_could_store_it(
    server: ModelServer, model: OpenAIModel
) -> None:
    server.answer = completion("wave \ud83c!")
    text = (await model.complete(request())).text
    assert text == "wave ?!"
    text.encode()


async def test_the_price_is_unknown_and_not_nothing_for_an_unknown_model(
    server: ModelServer, model: OpenAIModel
) -> None:
    unknown = OpenAIModel(lambda: Endpoint(server.url, "key", "house-model"))
    server.answer = completion(model="house-model-v2")
    reply = await unknown.complete(request())
    await unknown.close()
    assert reply.usage == Usage(input_tokens=1000, output_tokens=200, cost_usd=None, model="house-model-v2")


async def test_a_deployment_with_a_name_of_its_own_is_priced_by_the_model_behind_it(server: ModelServer) -> None:
    model = OpenAIModel(lambda: Endpoint(server.url, "key", "our-deployment"))
    usage = (await model.complete(request())).usage
    await model.close()
    assert usage == PAID


async def test_a_model_with_a_name_of_its_own_is_priced_by_the_name_that_was_asked_for(
    server: ModelServer, model: OpenAIModel
) -> None:
    server.answer = completion(model="snapshot-7")
    assert (await model.complete(request())).usage.cost_usd == PAID.cost_usd


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": 5},
        {"prompt_tokens": None, "completion_tokens": 5},
        {"prompt_tokens": "many", "completion_tokens": 5},
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 10**400},
        "some",
        [1, 2],
    ],
)
async def test_usage_that_is_missing_or_makes_no_sense_leaves_the_price_unknown(
    server: ModelServer, model: OpenAIModel, usage: Any
) -> None:
    server.answer = completion(usage=usage)
    answer = await model.complete(request())
    assert answer.usage == Usage(cost_usd=None, model="gpt-5-mini-2026-08-07")


@pytest.mark.parametrize("name", [None, "", 7])
async def test_an_answer_that_does_not_name_its_model_is_the_one_asked_for(
    server: ModelServer, model: OpenAIModel, name: Any
) -> None:
    server.answer = completion(model=name)
    assert (await model.complete(request())).usage.model == "gpt-5-mini"


# -- answers that cannot be used --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (completion("Half an", finish="length"), ModelAnswerInvalid, "cut"),
        (completion("Bad w", finish="content_filter"), ModelRefused, "content filter"),
        (completion(None, refusal="I will not."), ModelRefused, "I will not"),
        (completion(""), ModelAnswerInvalid, "nothing"),
        (completion(" \n "), ModelAnswerInvalid, "nothing"),
        (completion(None), ModelAnswerInvalid, "nothing"),
    ],
)
async def test_an_answer_that_cannot_be_used_says_what_it_used(
    server: ModelServer, model: OpenAIModel, answer: Answer, kind: type[NoUsableAnswer], words: str
) -> None:
    error = await failure(server, model, answer)
    assert isinstance(error, kind)
    assert words in str(error)
    assert error.usage == PAID


@pytest.mark.parametrize(
    "answer",
    [
        reply({"choices": []}),
        reply({}),
        reply([]),
        reply("text"),
        reply(None),
        reply(5),
        reply({"choices": [{}]}),
        reply({"choices": [None]}),
        reply({"choices": "abc"}),
        reply({"choices": {"a": 1}}),
        reply({"choices": [{"finish_reason": "stop", "message": None}]}),
        reply({"choices": [{"finish_reason": "stop", "message": {"content": 5}}]}),
        reply({"choices": [{"finish_reason": "stop", "message": {"content": ["a"]}}]}),
        reply({"error": "quota"}),
        raw(b"{not json"),
        raw(b""),
        raw(b"\xff\xfe\x00"),
        raw(b"<html>sign in</html>", content_type="text/html"),
        raw(b"ok", content_type="text/plain"),
    ],
)
async def test_whatever_is_no_completion_is_an_invalid_answer(
    server: ModelServer, model: OpenAIModel, answer: Answer
) -> None:
    assert isinstance(await failure(server, model, answer), ModelAnswerInvalid)


# -- errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("7", timedelta(seconds=7)),
        ("0.5", timedelta(seconds=0.5)),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("soon", None),
        ("1e300", None),
        ("nan", None),
    ],
)
async def test_a_limit_on_requests_is_retryable_after_the_time_it_asks_for(
    server: ModelServer, model: OpenAIModel, header: str | None, wait: timedelta | None
) -> None:
    error = await failure(
        server, model, reply({"error": {}}, status=429, headers={"retry-after": header} if header else {})
    )
    assert isinstance(error, ModelRateLimited)
    assert error.retry_after == wait


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 408, 409])
async def test_an_error_of_the_server_is_retryable(server: ModelServer, model: OpenAIModel, status: int) -> None:
    error = await failure(server, model, raw(b"oops", status=status, content_type="text/plain"))
    assert isinstance(error, ModelUnavailable)
    assert str(status) in str(error)


async def test_a_server_that_says_when_to_come_back_is_believed(server: ModelServer, model: OpenAIModel) -> None:
    error = await failure(server, model, reply({}, status=503, headers={"retry-after": "20"}))
    assert isinstance(error, RetryableError)
    assert error.retry_after == timedelta(seconds=20)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_an_error_of_configuration_that_does_not_show_it(
    server: ModelServer, model: OpenAIModel, status: int
) -> None:
    error = await failure(server, model, reply({"error": {"message": "Incorrect API key: abc123"}}, status=status))
    assert isinstance(error, ConfigurationError)
    assert "abc123" not in str(error)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_request_that_the_endpoint_will_not_take_is_refused_for_good(
    server: ModelServer, model: OpenAIModel, status: int
) -> None:
    error = await failure(server, model, reply({"error": {"message": "context too long", "code": "x"}}, status=status))
    assert isinstance(error, ModelRefused)
    assert "context too long" in str(error)
    assert error.usage is None


async def test_a_server_that_says_nothing_is_left_after_the_timeout(server: ModelServer, model: OpenAIModel) -> None:
    error = await failure(server, model, hang, timeout=timedelta(seconds=0.3))
    assert isinstance(error, ModelUnavailable)
    assert "in time" in str(error)


async def test_the_timeout_is_for_the_whole_call_however_often_a_byte_comes(
    server: ModelServer, model: OpenAIModel
) -> None:
    error = await failure(server, model, trickle, timeout=timedelta(seconds=0.3))
    assert isinstance(error, ModelUnavailable)
    assert "in time" in str(error)


async def test_a_connection_that_breaks_is_retryable(server: ModelServer, model: OpenAIModel) -> None:
    assert isinstance(await failure(server, model, hang_up), ModelUnavailable)


async def test_an_endpoint_where_nobody_listens_is_retryable() -> None:
    model = OpenAIModel(lambda: Endpoint(f"http://127.0.0.1:{free_port()}/v1", "key", "m"))
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1 cannot be reached"):
        await model.complete(request())
    await model.close()


async def test_a_call_that_is_given_up_is_cancelled_and_the_client_goes_on(
    server: ModelServer, model: OpenAIModel
) -> None:
    server.answer = hang
    call = asyncio.create_task(model.complete(request()))
    while not server.requests:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    server.answer = completion()
    assert (await model.complete(request())).text == "An answer."
