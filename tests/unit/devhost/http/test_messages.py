from http.cookies import SimpleCookie

import azure.functions as func
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from azure.functions.http import HttpRequestConverter, HttpResponseConverter
from azure_functions_runtime.bindings.datumdef import Datum
from multidict import CIMultiDict

from devhost.http.messages import request_datum, response_from


def decoded(request: web.Request, body: bytes = b"", **route: str) -> func.HttpRequest:
    decode = HttpRequestConverter.decode
    value: func.HttpRequest = decode(request_datum(request, body, route), trigger_metadata=None)
    return value


def test_the_sdk_reads_every_part_of_the_request() -> None:
    headers = CIMultiDict({"Host": "h:1", "X-One": "1", "Content-Type": "application/json"})
    request = make_mocked_request("POST", "/api/x?a=1&a=2&none=&b=%C3%BC", headers=headers)
    seen = decoded(request, b'{"k": 1}', id="7")
    assert seen.method == "POST"
    assert seen.url == "http://h:1/api/x?a=1&a=2&none=&b=%C3%BC"
    assert dict(seen.params) == {"a": "1,2", "b": "ü"}
    assert seen.headers["x-one"] == "1"
    assert dict(seen.route_params) == {"id": "7"}
    assert seen.get_json() == {"k": 1}


def test_a_header_given_twice_arrives_as_one_with_commas() -> None:
    headers = CIMultiDict([("Host", "h"), ("X-Two", "a"), ("x-two", "b")])
    assert decoded(make_mocked_request("GET", "/", headers=headers)).headers["X-Two"] == "a,b"


def test_a_request_without_a_body_has_an_empty_one() -> None:
    assert decoded(make_mocked_request("GET", "/", headers={"Host": "h"})).get_body() == b""


def encoded(response: func.HttpResponse | str) -> web.Response:
    datum = HttpResponseConverter.encode(response, expected_type=None)
    return response_from(Datum(datum.value, datum.type))


def test_status_headers_and_binary_body_are_sent_as_they_are() -> None:
    sent = encoded(func.HttpResponse(b"\x00\xff", status_code=201, headers={"X-A": "1"}, mimetype="image/png"))
    assert (sent.status, sent.body, sent.headers["X-A"]) == (201, b"\x00\xff", "1")
    assert sent.headers["Content-Type"] == "image/png"


def test_a_returned_text_is_a_plain_text_response() -> None:
    sent = encoded("grüß")
    assert (sent.status, sent.body, sent.content_type, sent.charset) == (200, "grüß".encode(), "text/plain", "utf-8")


def test_each_cookie_is_a_header_of_its_own() -> None:
    response = func.HttpResponse("x")
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; Secure")
    sent = encoded(response)
    cookies = [SimpleCookie(value) for value in sent.headers.getall("Set-Cookie")]
    assert [next(iter(cookie)) for cookie in cookies] == ["a", "b"]


def test_headers_of_the_connection_are_the_servers_own() -> None:
    sent = encoded(func.HttpResponse("x", headers={"Content-Length": "99", "Transfer-Encoding": "chunked"}))
    assert "Content-Length" not in sent.headers
    assert "Transfer-Encoding" not in sent.headers


def test_a_function_without_a_response_is_answered_with_204() -> None:
    assert response_from(None).status == 204


@pytest.mark.parametrize(
    "response",
    [
        func.HttpResponse("x", status_code=99),
        func.HttpResponse("x", status_code=700),
        func.HttpResponse("x", status_code=101),
    ],
)
def test_a_status_that_cannot_be_sent_is_an_error(response: func.HttpResponse) -> None:
    with pytest.raises(ValueError, match="not a status"):
        encoded(response)


def test_a_header_with_a_line_break_is_an_error() -> None:
    value = {
        "status_code": Datum("200", "string"),
        "headers": {"x": Datum("a\r\nSet-Cookie: b=1", "string")},
        "body": Datum(b"", "bytes"),
    }
    with pytest.raises(ValueError, match="line break"):
        response_from(Datum(value, "http"))
