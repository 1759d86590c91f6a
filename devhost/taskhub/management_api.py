"""The Durable Functions HTTP management API, as the Durable extension serves it, over any task hub's gRPC address.

Source: the HTTP API reference of Durable Functions, and `HttpApiHandler.cs` of the extension for what the reference
leaves open. Differences: a parameter that cannot be read is refused with its name, where the extension ignores it;
restarting an unknown instance is 404; and `recursive` says whether sub-orchestrations are purged too (they are not,
unless it is true) or terminated (they are, unless it is false). Errors are problem details.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

import grpc
import grpc.aio
from aiohttp import web
from azure.durable_functions.http.http_management_payload import HttpManagementPayload
from durabletask.client import OrchestrationState, OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.tracing import use_trace_context

from devhost.http.authorization import presented_key, unauthorized
from devhost.http.problem import problem
from devhost.keys import ADMIN_KEY, DURABLE_KEY, HostKeys
from devhost.taskhub import management_requests as requests
from devhost.taskhub.hub import TaskHub
from devhost.taskhub.hub_client import HubClient
from devhost.taskhub.management_requests import BadRequest
from devhost.taskhub.management_views import STATUS_NAMES, entity_view, history_view, instance_view

_log = logging.getLogger(__name__)

type _Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# The real host takes the path in any case; so does this one for the part that documents write both ways.
_ROOT: Final = "/runtime/webhooks/{webhook:(?i:durabletask)}"
_PATH: Final = "/runtime/webhooks/durabletask"
_FINISHED: Final = frozenset(
    {OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED}
)
_STATUS_OF: Final = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 410,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
    grpc.StatusCode.UNAVAILABLE: 503,
}


class ManagementApi:
    """The routes of the API. `orchestrators` are the names that may be started."""

    def __init__(self, hub: TaskHub, keys: HostKeys, *, orchestrators: Collection[str]) -> None:
        self._hub = hub
        self._keys = keys
        self._orchestrators = {name.lower() for name in orchestrators}
        self._open_client: HubClient | None = None

    def route_defs(self) -> Iterator[web.RouteDef]:
        """The routes to serve."""
        instances, entities = f"{_ROOT}/instances", f"{_ROOT}/entities"
        instance, entity = f"{instances}/{{instance_id}}", f"{entities}/{{name}}/{{key}}"
        yield web.get(instances, self._guarded(self._list))
        yield web.delete(instances, self._guarded(self._purge_many))
        yield web.get(instance, self._guarded(self._status))
        yield web.delete(instance, self._guarded(self._purge))
        yield web.post(f"{instance}/{{operation}}", self._guarded(self._operate))
        yield web.post(f"{instance}/{{operation:(?i:raiseEvent)}}/{{event}}", self._guarded(self._raise_event))
        yield web.post(f"{_ROOT}/orchestrators/{{name}}", self._guarded(self._start))
        yield web.post(f"{_ROOT}/orchestrators/{{name}}/{{instance_id}}", self._guarded(self._start))
        yield web.get(entities, self._guarded(self._list_entities))
        yield web.get(f"{entities}/{{name}}", self._guarded(self._list_entities))
        yield web.get(entity, self._guarded(self._read_entity))
        yield web.post(entity, self._guarded(self._signal_entity))
        yield web.delete(entity, self._guarded(self._signal_entity))

    async def close(self) -> None:
        """Close the connection to the hub."""
        if self._open_client is not None:
            await self._open_client.close()

    @property
    def _client(self) -> HubClient:
        if self._open_client is None:
            self._open_client = HubClient(self._hub.address)
        return self._open_client

    def _guarded(self, handler: _Handler) -> _Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if not self._keys.opens(presented_key(request), DURABLE_KEY, ADMIN_KEY):
                return unauthorized(f"{DURABLE_KEY} or {ADMIN_KEY}")
            try:
                return await handler(request)
            except BadRequest as bad:
                return problem(400, str(bad), field=bad.field)
            except grpc.aio.AioRpcError as refused:
                status = _STATUS_OF.get(refused.code(), 500)
                if status == 500:
                    _log.error("the task hub failed: %s: %s", refused.code(), refused.details())
                return problem(status, refused.details() or "the task hub refused the call")

        return answer

    # -- instances -------------------------------------------------------------------------------------------------

    async def _status(self, request: web.Request) -> web.Response:
        show_input = requests.flag(request, "showInput", default=True)
        show_history = requests.flag(request, "showHistory", default=False)
        show_output = requests.flag(request, "showHistoryOutput", default=False)
        failure_is_500 = requests.flag(request, "returnInternalServerErrorOnFailure", default=False)
        state = await self._client.get_orchestration_state(request.match_info["instance_id"])
        if state is None:
            return _unknown_instance(request)
        history = None
        if show_history:
            events = await self._client.get_orchestration_history(state.instance_id)
            history = history_view(events, show_input=show_input, show_output=show_output)
        body = instance_view(state, show_input=show_input, history=history)
        if state.runtime_status not in _FINISHED:
            return web.json_response(body, status=202, headers={"Location": str(request.url), "Retry-After": "5"})
        failed = state.runtime_status is OrchestrationStatus.FAILED
        return web.json_response(body, status=500 if failed and failure_is_500 else 200)

    async def _list(self, request: web.Request) -> web.Response:
        show_input = requests.flag(request, "showInput", default=True)
        with _naming_the_token():
            page = await self._client.instances(requests.instance_query(request))
        body = [instance_view(state, show_input=show_input) for state in page.items]
        return web.json_response(body, headers=_continuation(page.continuation_token))

    async def _purge(self, request: web.Request) -> web.Response:
        state = await self._client.get_orchestration_state(request.match_info["instance_id"], fetch_payloads=False)
        if state is None:
            return _unknown_instance(request)
        if state.runtime_status not in _FINISHED:
            return _not_in_state(state, 412, "only a finished one can be purged")
        recursive = requests.flag(request, "recursive", default=False)
        purged = await self._client.purge_orchestration(state.instance_id, recursive=recursive)
        return web.json_response({"instancesDeleted": purged.deleted_instance_count})

    async def _purge_many(self, request: web.Request) -> web.Response:
        created_from = requests.instant(request, "createdTimeFrom")
        if created_from is None:
            raise BadRequest("createdTimeFrom", "must be given")
        created_to = requests.instant(request, "createdTimeTo")
        statuses, recursive = list(requests.statuses(request)), requests.flag(request, "recursive", default=False)
        purged = await self._client.purge_orchestrations_by(created_from, created_to, statuses, recursive)
        if not purged.deleted_instance_count:
            return problem(404, "no finished orchestration matches the filter")
        return web.json_response({"instancesDeleted": purged.deleted_instance_count})

    async def _raise_event(self, request: web.Request) -> web.Response:
        state = await self._client.get_orchestration_state(request.match_info["instance_id"], fetch_payloads=False)
        if state is None:
            return _unknown_instance(request)
        if state.runtime_status in _FINISHED:
            return _not_in_state(state, 410, "it takes no more events")
        data = await requests.event_body(request)
        await self._client.raise_orchestration_event(state.instance_id, request.match_info["event"], data=data)
        return web.Response(status=202)

    async def _operate(self, request: web.Request) -> web.Response:
        operation = request.match_info["operation"].lower()
        known = {
            "terminate": self._terminate,
            "suspend": self._suspend,
            "resume": self._resume,
            "rewind": self._rewind,
            "restart": self._restart,
        }
        if operation not in known:
            return problem(404, f"there is no operation '{request.match_info['operation']}'")
        state = await self._client.get_orchestration_state(request.match_info["instance_id"], fetch_payloads=False)
        return _unknown_instance(request) if state is None else await known[operation](request, state)

    async def _terminate(self, request: web.Request, state: OrchestrationState) -> web.Response:
        if state.runtime_status in _FINISHED:
            return _not_in_state(state, 410, "it has ended already")
        recursive = requests.flag(request, "recursive", default=True)
        output = requests.reason(request)
        await self._client.terminate_orchestration(state.instance_id, output=output, recursive=recursive)
        return web.Response(status=202)

    async def _suspend(self, request: web.Request, state: OrchestrationState) -> web.Response:
        if state.runtime_status in _FINISHED:
            return _not_in_state(state, 410, "it has ended already")
        await self._client.suspend_orchestration(state.instance_id, reason=request.query.get("reason"))
        return web.Response(status=202)

    async def _resume(self, request: web.Request, state: OrchestrationState) -> web.Response:
        if state.runtime_status in _FINISHED:
            return _not_in_state(state, 410, "it has ended already")
        await self._client.resume_orchestration(state.instance_id, reason=request.query.get("reason"))
        return web.Response(status=202)

    async def _rewind(self, request: web.Request, state: OrchestrationState) -> web.Response:
        if state.runtime_status is not OrchestrationStatus.FAILED:
            return _not_in_state(state, 412, "only a failed one can be rewound")
        await self._client.rewind_orchestration(state.instance_id, reason=request.query.get("reason"))
        return web.Response(status=202)

    async def _restart(self, request: web.Request, state: OrchestrationState) -> web.Response:
        new_id = requests.flag(request, "restartWithNewInstanceId", default=True)
        if state.runtime_status not in _FINISHED:
            return _not_in_state(state, 409, "only a finished one can be restarted")
        started = await self._client.restart_orchestration(state.instance_id, restart_with_new_instance_id=new_id)
        return await self._accepted(request, started)

    async def _start(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name.lower() not in self._orchestrators:
            raise BadRequest("functionName", f"must be an orchestrator of the app, which '{name}' is not")
        wanted = requests.new_instance_id(request)
        requests.seconds(request, "timeout")
        body = await requests.json_body(request)
        version = request.query.get("version")
        # The client's trace goes on in what it starts.
        with use_trace_context(pb.TraceContext(traceParent=request.headers.get("traceparent", ""))):
            started = await self._client.schedule_new_orchestration(
                name, input=body, instance_id=wanted, version=version
            )
        return await self._accepted(request, started)

    async def _accepted(self, request: web.Request, instance_id: str) -> web.Response:
        """202 with the addresses to follow the orchestration, or its end when it comes within `timeout` seconds."""
        state = await self._finished_within(requests.seconds(request, "timeout"), instance_id)
        if state is not None and state.runtime_status is OrchestrationStatus.COMPLETED:
            return web.Response(text=state.serialized_output or "null", content_type="application/json")
        if state is not None:
            return web.json_response(instance_view(state, show_input=True))
        status = f"{request.url.origin()}{_PATH}/instances/{quote(instance_id, safe='')}"
        links = HttpManagementPayload(instance_id, status, f"code={quote(self._keys.values[DURABLE_KEY])}")
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return web.json_response(dict(links), status=202, headers=headers)

    async def _finished_within(self, limit: float | None, instance_id: str) -> OrchestrationState | None:
        if limit is None:
            return None
        try:
            return await self._client.wait_for_orchestration_completion(instance_id, timeout=limit)
        except TimeoutError:
            return None

    # -- entities --------------------------------------------------------------------------------------------------

    async def _list_entities(self, request: web.Request) -> web.Response:
        with_state = requests.flag(request, "fetchState", default=False)
        with _naming_the_token():
            page = await self._client.entities(requests.entity_query(request))
        body = [entity_view(entity, with_state=with_state) for entity in page.items]
        return web.json_response(body, headers=_continuation(page.continuation_token))

    async def _read_entity(self, request: web.Request) -> web.Response:
        identity = requests.entity_id(request)
        entity = await self._client.get_entity(identity)
        if entity is None:
            return problem(404, f"the entity {identity} does not exist")
        return web.Response(text=entity.get_state() or "null", content_type="application/json")

    async def _signal_entity(self, request: web.Request) -> web.Response:
        identity = requests.entity_id(request)
        operation = "delete" if request.method == "DELETE" else request.query.get("op", "")
        body = await requests.operation_body(request)
        await self._client.signal_entity(identity, operation, input=body)
        return web.Response(status=202)


@contextmanager
def _naming_the_token() -> Iterator[None]:
    # Of all that a listing is asked with, only the token is judged by the hub.
    try:
        yield
    except grpc.aio.AioRpcError as refused:
        if refused.code() is grpc.StatusCode.INVALID_ARGUMENT:
            raise BadRequest(requests.CONTINUATION_HEADER, f"is wrong: {refused.details()}") from refused
        raise


def _unknown_instance(request: web.Request) -> web.Response:
    return problem(404, f"no orchestration has the instance id '{request.match_info['instance_id']}'")


def _not_in_state(state: OrchestrationState, status: int, why: str) -> web.Response:
    name = STATUS_NAMES[state.runtime_status]
    return problem(status, f"the orchestration '{state.instance_id}' is {name}: {why}", runtimeStatus=name)


def _continuation(token: str | None) -> dict[str, str]:
    return {requests.CONTINUATION_HEADER: token} if token else {}
