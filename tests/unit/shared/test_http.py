"""The HTTP door: what is refused with which problem, and that nothing of the inside leaks."""

import json
import logging
from typing import Any

import azure.functions as func
import pytest
from pydantic import BaseModel, ConfigDict, Field

from shared import errors
from shared.contracts import ErrorInfo
from shared.errors import Conflict, InvalidRequest, MusterError, NotFound, RetryableError
from shared.http import MAX_BODY_BYTES, Problem, answers_problems, json_response, read_body


class Body(BaseModel):
    """A body to ask for."""

    model_config = ConfigDict(extra="forbid")
    topic: str = Field(min_length=1)
    depth: dict[str, int] = {}


def a_request(body: bytes, content_type: str | None = "application/json") -> func.HttpRequest:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return func.HttpRequest("POST", "http://localhost/api/x", headers=headers, body=body)


async def answer(handler: Any, *arguments: Any) -> tuple[int, dict[str, Any], str]:
    response = await answers_problems(handler)(*arguments)
    return response.status_code, json.loads(response.get_body()), response.mimetype


async def problem(body: bytes, content_type: str | None = "application/json") -> dict[str, Any]:
    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        return json_response(read_body(req, Body).model_dump())

    status, said, mimetype = await answer(handler, a_request(body, content_type))
    assert mimetype == "application/problem+json"
    assert said["status"] == status
    assert {"type", "title", "status", "detail"} <= set(said)
    assert said["type"].startswith("urn:muster:problem:")
    return said


# -- bodies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;",
        " application/json",
    ],
)
def test_json_is_read_however_its_type_is_spelt(content_type: str) -> None:
    assert read_body(a_request(b'{"topic": "tides"}', content_type), Body).topic == "tides"


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "text/json", "application/x-www-form-urlencoded", "json", ";"]
)
async def test_a_body_of_another_type_is_415(content_type: str | None) -> None:
    said = await problem(b'{"topic": "tides"}', content_type)
    assert (said["status"], said["type"]) == (415, "urn:muster:problem:unsupported-media-type")
    assert said["detail"].startswith("the header Content-Type is ")


async def test_a_body_over_the_limit_is_413_and_one_at_the_limit_is_read() -> None:
    said = await problem(b" " * (MAX_BODY_BYTES + 1))
    assert (said["status"], said["type"]) == (413, "urn:muster:problem:body-too-large")
    padded = b'{"topic": "tides"}'.ljust(MAX_BODY_BYTES)
    assert read_body(a_request(padded), Body).topic == "tides"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"topic=tides", b"\xff\xfe", b'{"topic": "\\ud800"}', b"[" * 10_000, b"{'a': 1}"]
)
async def test_what_is_no_json_is_400_and_says_so(body: bytes) -> None:
    said = await problem(body)
    assert (said["status"], said["type"]) == (400, "urn:muster:problem:malformed-json")
    assert said["detail"].lower().count("json") == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "topic"),
        ({"topic": ""}, "topic"),
        ({"topic": None}, "topic"),
        ({"topic": 5}, "topic"),
        ({"topic": ["x"]}, "topic"),
        ({"topic": "x", "more": 1}, "more"),
        ({"topic": "x", "depth": {"a": "b"}}, "depth.a"),
    ],
)
async def test_a_body_that_breaks_its_contract_is_400_and_names_the_field(body: Any, field: str) -> None:
    said = await problem(json.dumps(body).encode())
    assert (said["status"], said["type"], said["field"]) == (400, "urn:muster:problem:invalid-request", field)
    assert said["detail"].startswith(f"{field}: ")


async def test_a_body_with_several_faults_names_the_others_too() -> None:
    assert (await problem(b'{"more": 1, "evenmore": 2}'))["other_fields"] == ["more", "evenmore"]


@pytest.mark.parametrize("body", [{"x" * 50 + str(n): 1 for n in range(1000)}, {"topic": "t", "x" * 60_000: 1}])
async def test_a_body_that_makes_up_many_or_long_fields_is_answered_in_brief(body: Any) -> None:
    assert len(json.dumps(await problem(json.dumps(body).encode()))) < 5000


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"5"])
async def test_json_that_is_no_object_is_400_and_blames_no_field(body: bytes) -> None:
    said = await problem(body)
    assert (said["status"], said["type"]) == (400, "urn:muster:problem:invalid-request")
    assert "field" not in said


async def test_what_was_sent_is_not_said_back() -> None:
    assert "s3cr3t" not in json.dumps(await problem(b'{"topic": ["s3cr3t"]}'))


# -- errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidRequest("topic: too long", field="topic"), 400, "invalid-request"),
        (NotFound("there is no task x"), 404, "not-found"),
        (Conflict("used for another"), 409, "conflict"),
        (Problem(418, "teapot", "Teapot", "short and stout"), 418, "teapot"),
    ],
)
async def test_an_error_that_is_the_clients_is_answered_in_its_own_words(
    error: MusterError, status: int, kind: str
) -> None:
    async def handler() -> func.HttpResponse:
        raise error

    code, said, _ = await answer(handler)
    assert (code, said["type"], said["detail"]) == (status, f"urn:muster:problem:{kind}", str(error))


async def test_the_field_of_an_invalid_request_is_named() -> None:
    async def handler() -> func.HttpResponse:
        raise InvalidRequest("no", field="Idempotency-Key")

    assert (await answer(handler))[1]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RetryableError)]
)
async def test_whatever_may_pass_is_503_and_hides_its_cause(kind: type[RetryableError]) -> None:
    async def handler() -> func.HttpResponse:
        raise kind("secret-host refused /secret/path")

    code, said, _ = await answer(handler)
    assert (code, said["type"]) == (503, "urn:muster:problem:unavailable")
    assert "secret" not in json.dumps(said)


@pytest.mark.parametrize(
    "error", [ValueError("secret"), errors.StateCorrupted("secret"), KeyError("secret"), MusterError("secret")]
)
async def test_whatever_was_not_foreseen_is_500_hides_everything_and_is_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler() -> func.HttpResponse:
        raise error

    with caplog.at_level(logging.ERROR):
        code, said, _ = await answer(handler)
    assert (code, said["type"]) == (500, "urn:muster:problem:internal")
    assert "secret" not in json.dumps(said)
    assert type(error).__name__ not in json.dumps(said)
    assert "secret" in caplog.text


async def test_an_answer_that_is_no_error_goes_through_untouched() -> None:
    async def handler(name: str) -> func.HttpResponse:
        return json_response({"name": name}, status=202, headers={"Location": "/x"})

    response = await answers_problems(handler)("ada")
    assert (response.status_code, response.headers["Location"]) == (202, "/x")


def test_an_answer_may_hold_contracts_and_any_text() -> None:
    body = {"error": ErrorInfo(type="T", message="Grüße \x00"), "text": "half a pair \ud800"}
    said = json.loads(json_response(body).get_body())
    assert said["error"] == {"type": "T", "message": "Grüße \x00", "retryable": False}


def test_an_answer_that_is_no_json_is_an_error_and_not_half_an_answer() -> None:
    with pytest.raises(TypeError, match="object is not JSON"):
        json_response({"x": object()})
