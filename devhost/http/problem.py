"""Errors of the host itself as RFC 9457 problem details: the real host's status codes, with a body that says why."""

import json
from http import HTTPStatus

from aiohttp import web


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **more: object) -> web.Response:
    """A `application/problem+json` response. `detail` is for people; `more` are extension members."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return web.Response(
        status=status,
        body=json.dumps(body, ensure_ascii=False).encode(),
        content_type="application/problem+json",
        headers=headers,
    )
