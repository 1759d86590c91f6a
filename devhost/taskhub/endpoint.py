"""The gRPC endpoint of a task hub: the client's half of the Durable Task protocol, served on the host's event loop.

Source of the protocol: `durabletask/internal/orchestrator_service.proto`, service `TaskHubSidecarService`. The worker's
half (`GetWorkItems` and its completions) is refused: work items are run by this host and by nobody else.
"""

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, NoReturn, Protocol

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

from devhost.taskhub.engine.crash_points import Crashed

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
_CAPITAL: Final = re.compile(r"(?<!^)([A-Z])")

_CALLS: Final = (
    "Hello",
    "StartInstance",
    "GetInstance",
    "RewindInstance",
    "RestartInstance",
    "RaiseEvent",
    "TerminateInstance",
    "SuspendInstance",
    "ResumeInstance",
    "QueryInstances",
    "ListInstanceIds",
    "PurgeInstances",
    "CreateTaskHub",
    "DeleteTaskHub",
    "SignalEntity",
    "GetEntity",
    "QueryEntities",
    "CleanEntityStorage",
)
_WAITS: Final = ("WaitForInstanceStart", "WaitForInstanceCompletion")
_STREAMS: Final = ("StreamInstanceHistory",)
_WORKER_CALLS: Final = (
    "GetWorkItems",
    "CompleteActivityTask",
    "CompleteOrchestratorTask",
    "CompleteEntityTask",
    "AbandonTaskActivityWorkItem",
    "AbandonTaskOrchestratorWorkItem",
    "AbandonTaskEntityWorkItem",
)


class Refused(Exception):
    """A call that the hub turns down, as a gRPC status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class CallContext:
    """What the hub's methods may ask of the call they answer: to abort it."""

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """Raise `Refused`."""
        raise Refused(code, details)


class Waits(Protocol):
    """The two calls that wait, which must not hold anything up while they do."""

    async def wait_for(self, request: pb.GetInstanceRequest, *, finished: bool) -> pb.GetInstanceResponse:
        """The instance once it has started, or once it has finished. May raise `Refused`."""
        ...


class Endpoint:
    """Serves objects with the protocol's methods on 127.0.0.1 and a free port.

    The methods are functions of (request, context), plain ones that return at once or coroutines, named as the protocol
    names them or in the same words in lower case (`StartInstance`, `start_instance`); those in `_WAITS` are answered by
    `service.wait_for`. A waiting call costs a future, not a thread. `others` have the methods that `service` has not; a
    call that nobody has is refused.
    """

    def __init__(self, service: Waits, *others: object) -> None:
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            ]
        )
        add_to_server: Any = stubs.add_TaskHubSidecarServiceServicer_to_server
        add_to_server(_servicer(service, others), self._server)
        self._port = 0

    @property
    def address(self) -> str:
        """`127.0.0.1:port`. Raises `RuntimeError` before `start`."""
        if not self._port:
            raise RuntimeError("the task hub has no address before it is started")
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Take a port and begin to answer."""
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()

    async def stop(self) -> None:
        """Take no more calls, and let those that are being answered finish within a second."""
        await self._server.stop(grace=1.0)


def _servicer(service: Waits, others: Sequence[object]) -> stubs.TaskHubSidecarServiceServicer:
    def method(name: str) -> Callable[[Any, CallContext], Any]:
        names = (name, _CAPITAL.sub(r"_\1", name).lower())
        found = (getattr(each, spelling, None) for each in (service, *others) for spelling in names)
        return next((each for each in found if each is not None), _refuse_unknown)

    servicer = stubs.TaskHubSidecarServiceServicer()
    for name in _CALLS:
        setattr(servicer, name, _call(method(name)))
    for name in _WAITS:
        setattr(servicer, name, _wait(service, finished=name == "WaitForInstanceCompletion"))
    for name in _STREAMS:
        setattr(servicer, name, _stream(method(name)))
    for name in _WORKER_CALLS:
        setattr(servicer, name, _call(_refuse_worker))
    return servicer


def _refuse_unknown(_: object, context: CallContext) -> NoReturn:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "this task hub does not do that")


def _refuse_worker(_: object, context: CallContext) -> NoReturn:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "work items of this task hub are run by its host alone")


def _call(method: Callable[[Any, CallContext], Any]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(request: Any, context: Any) -> Any:
        try:
            answer = method(request, CallContext())
            return await answer if inspect.isawaitable(answer) else answer
        except Refused as refused:
            return await context.abort(refused.code, refused.details)
        except Crashed:
            # All that a caller sees of a process that dies.
            return await context.abort(grpc.StatusCode.UNAVAILABLE, "the task hub has died")

    return handle


def _wait(service: Waits, *, finished: bool) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(request: pb.GetInstanceRequest, context: Any) -> Any:
        try:
            return await service.wait_for(request, finished=finished)
        except Refused as refused:
            return await context.abort(refused.code, refused.details)

    return handle


def _stream(method: Callable[[Any, CallContext], Any]) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            messages = method(request, CallContext())
            if isinstance(messages, AsyncIterator):
                async for message in messages:
                    yield message
            else:
                for message in messages:
                    yield message
        except Refused as refused:
            await context.abort(refused.code, refused.details)

    return handle
