"""The offline model's addresses: `POST /v1/chat/completions` and `GET /v1/models`. Any key is taken, or none.

`PUT`, `GET` and `DELETE /v1/faults` set, show and remove the rules by which it misbehaves; there are none at first.
"""

import json
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from devhost.clock import Clock
from devhost.offline_model.chat import MODEL, Answer, ChatRequest, answer
from devhost.offline_model.faults import FaultRule, FaultRules, Faults
from devhost.offline_model.json_schema import UnsatisfiableSchemaError
from devhost.offline_model.misbehaving import break_off, refuse, spoilt
from devhost.offline_model.refusals import error, refused

PATH: Final = "/v1"
_BROKEN: Final = frozenset({"no_json", "half", "hang_up"})

_log = logging.getLogger(__name__)


class OfflineModelApi:
    """Answers after `delay`, so that an app can be watched waiting for its model."""

    def __init__(self, clock: Clock, delay: timedelta = timedelta(0)) -> None:
        self._clock = clock
        self._delay = delay
        self._faults = Faults()
        self._asleep: list[web.Request] = []

    @property
    def asleep(self) -> int:
        """How many requests wait for nothing but time, and have a client that still waits for them."""
        return sum(each.transport is not None and not each.transport.is_closing() for each in self._asleep)

    def routes(self) -> Iterable[web.RouteDef]:
        """The routes to serve."""
        yield web.post(f"{PATH}/chat/completions", self._complete)
        yield web.get(f"{PATH}/models", self._models)
        yield web.put(f"{PATH}/faults", self._set_faults)
        yield web.get(f"{PATH}/faults", self._show_faults)
        yield web.delete(f"{PATH}/faults", self._clear_faults)

    async def _models(self, _: web.Request) -> web.Response:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "devhost"}
        return web.json_response({"object": "list", "data": [model]})

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            wanted = FaultRules.model_validate_json(await request.read())
        except ValidationError as invalid:
            return refused(invalid)
        self._faults.set(wanted)
        for rule in wanted.rules:
            _log.warning("FAULT SET for the offline model: %s", rule)
        return web.json_response(self._faults.shown())

    async def _show_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._faults.shown())

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self._faults.clear()
        _log.warning("FAULTS REMOVED: the offline model behaves again")
        return web.json_response(self._faults.shown())

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = ChatRequest.model_validate_json(await request.read())
            answered = answer(asked)
        except ValidationError as invalid:
            return refused(invalid)
        except UnsatisfiableSchemaError as impossible:
            return error(f"Invalid schema for response_format: {impossible}", "response_format")
        rule = self._faults.next(asked.instructions, asked.question) or FaultRule()
        if not rule.only_counts:
            _log.warning("FAULT in the offline model: %s", rule)
        await self._sleep(request, self._clock.now() + self._delay + timedelta(seconds=rule.delay))
        if rule.status is not None:
            return refuse(rule)
        if rule.answer is not None:
            answered = spoilt(answered, asked, rule.answer)
        created = int(self._clock.now().timestamp())
        if rule.answer in _BROKEN:
            return await break_off(request, json.dumps(answered.completion(created)).encode(), rule.answer)
        if not asked.stream:
            return web.json_response(answered.completion(created))
        wants_usage = asked.stream_options is not None and asked.stream_options.include_usage
        return await _stream(request, answered, created, include_usage=wants_usage)

    async def _sleep(self, request: web.Request, until: datetime) -> None:
        self._asleep.append(request)
        try:
            await self._clock.sleep_until(until)
        finally:
            self._asleep.remove(request)


async def _stream(request: web.Request, answered: Answer, created: int, *, include_usage: bool) -> web.StreamResponse:
    """Server-sent events, one for each chunk, and `[DONE]`."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    for chunk in answered.chunks(created, include_usage=include_usage):
        await response.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response
