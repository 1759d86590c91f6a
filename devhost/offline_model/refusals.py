"""How the offline model refuses a request: the error object that OpenAI's clients read, with the parameter to blame."""

from aiohttp import web
from pydantic import ValidationError


def refused(invalid: ValidationError) -> web.Response:
    """The first fault that was found in a request, as a 400 that names its parameter."""
    first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    parameter = ".".join(str(step) for step in first["loc"] if step != "str") or None
    if first["type"] == "json_invalid":
        return error(f"We could not parse the JSON body of your request: {first['msg']}", None)
    if first["type"] == "extra_forbidden":
        return error(f"Unrecognized request argument supplied: {parameter}", parameter)
    return error(f"Invalid value for '{parameter}': {first['msg']}", parameter)


def error(message: str, parameter: str | None) -> web.Response:
    """An error that is the request's own."""
    body = {"message": message, "type": "invalid_request_error", "param": parameter, "code": None}
    return web.json_response({"error": body}, status=400)
