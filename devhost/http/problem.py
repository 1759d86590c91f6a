"""Errors of the host itself as RFC 9457 problem details: the real host's status codes, with a body that says why."""

import json
from http import HTTPStatus

from aiohttp import web


class Problem(web.Response):
    """An answer of the host itself, told from those of functions."""


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **more: object) -> Problem:
    """A `application/problem+json` response. `detail` is for people; `more` are extension members."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return Problem(
        status=status,
        body=json.dumps(body, ensure_ascii=False).encode(),
        content_type="application/problem+json",
        headers=headers,
    )
