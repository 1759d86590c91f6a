"""Keys at the door: header `x-functions-key`, or the query parameter `code`, as in Azure."""

from aiohttp import web

from devhost.http.problem import problem
from devhost.http.routes import AuthLevel
from devhost.keys import ADMIN_KEY, FUNCTION_KEY, HostKeys


def presented_key(request: web.BaseRequest) -> str | None:
    """The key a request carries; the header wins."""
    return request.headers.get("x-functions-key") or request.query.get("code")


def refusal(request: web.BaseRequest, level: AuthLevel, keys: HostKeys) -> web.Response | None:
    """The 401 that answers a request without a key for `level`, or None when it may pass. The admin key opens all."""
    if level is AuthLevel.ANONYMOUS:
        return None
    names = (ADMIN_KEY,) if level is AuthLevel.ADMIN else (FUNCTION_KEY, ADMIN_KEY)
    if keys.opens(presented_key(request), *names):
        return None
    return unauthorized(" or ".join(names))


def unauthorized(which: str) -> web.Response:
    """A 401 that says which key is asked for and how to give it, and nothing else."""
    return problem(
        401, f"this address needs the {which} key, in the header x-functions-key or the query parameter code"
    )
