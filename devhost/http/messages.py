"""HTTP requests and responses as the worker sees them: `Datum`s of type `http`.

The shape is that of `RpcHttp` in the Functions worker protocol, after the real host's conversion: header names in lower
case, several values of one name joined by a comma, query parameters without a value left out, the body as bytes.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiohttp import web
from azure_functions_runtime.bindings.datumdef import Datum
from multidict import CIMultiDict

# They describe the connection or the framing, which are the server's, not the function's.
_FRAMING: Final = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"})


def request_datum(request: web.BaseRequest, body: bytes, route_values: Mapping[str, str]) -> Datum:
    """The trigger's value for a request."""
    return Datum(
        {
            "method": Datum(request.method, "string"),
            "url": Datum(f"{request.scheme}://{request.host}{request.raw_path}", "string"),
            "headers": _texts(_joined((name.lower(), value) for name, value in request.headers.items())),
            "params": _texts(route_values),
            "query": _texts({name: value for name, value in _joined(request.query.items()).items() if value}),
            "body": Datum(body, "bytes"),
        },
        "http",
    )


def response_from(value: Datum | None) -> web.Response:
    """The response a function's return value stands for.

    Raises `ValueError` when it cannot be sent: a status that is no HTTP status, or a header with a line break.
    """
    if value is None or value.type is None:
        return web.Response(status=204)
    if value.type != "http":
        return web.Response(body=_body(value), content_type="text/plain", charset="utf-8")
    content: dict[str, Any] = value.value
    status = int(content["status_code"].value)
    if not 200 <= status <= 599:
        raise ValueError(f"{status} is not a status an HTTP response can have")
    headers: CIMultiDict[str] = CIMultiDict()
    for name, header in content["headers"].items():
        if name.lower() not in _FRAMING:
            headers.add(name, _one_line(str(header.value), name))
    for cookie in content.get("cookies") or ():
        for morsel in cookie.values():
            headers.add("Set-Cookie", _one_line(morsel.OutputString(), "Set-Cookie"))
    return web.Response(status=status, body=_body(content["body"]), headers=headers)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _texts(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in values.items()}


def _body(value: Datum) -> bytes:
    content = value.value
    return content.encode() if isinstance(content, str) else bytes(content or b"")


def _one_line(text: str, name: str) -> str:
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError(f"the header {name} has a line break in its value")
    return text
