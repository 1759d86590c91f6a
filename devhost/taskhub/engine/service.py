"""The client's half of the Durable Task protocol for orchestrations, over an engine.

What changes something is answered once it is on disk. What is read is on disk too: nobody hears of what a crash could
take back. Refusals are those of the Durable extension.
"""

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from devhost.taskhub.endpoint import CallContext, Refused
from devhost.taskhub.engine import events
from devhost.taskhub.engine.commits import StoreFailed
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.instance import Instance
from devhost.taskhub.engine.lifecycle import AlreadyExists, Beginning


class OrchestrationService:
    """Starts, reads, waits for and steers orchestrations."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._instances = engine.context.instances

    def hello(self, _: Empty, __: CallContext) -> Empty:
        """Say that somebody is here."""
        return Empty()

    def create_task_hub(self, _: pb.CreateTaskHubRequest, __: CallContext) -> pb.CreateTaskHubResponse:
        """Nothing: the task hub is there."""
        return pb.CreateTaskHubResponse()

    def delete_task_hub(self, _: pb.DeleteTaskHubRequest, context: CallContext) -> pb.DeleteTaskHubResponse:
        """Refuse: the task hub is the host's."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "stop the host and remove its state directory instead")

    async def start_instance(self, request: pb.CreateInstanceRequest, _: CallContext) -> pb.CreateInstanceResponse:
        """Start an orchestration; an id in use is `ALREADY_EXISTS`."""
        policy = request.orchestrationIdReusePolicy if request.HasField("orchestrationIdReusePolicy") else None
        try:
            instance = self._engine.begin(beginning_of(request), None if policy is None else policy.replaceableStatus)
        except AlreadyExists as refused:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, str(refused)) from None
        except StoreFailed as failed:
            raise Refused(grpc.StatusCode.UNAVAILABLE, str(failed)) from None
        await self._settled()
        return pb.CreateInstanceResponse(instanceId=instance.id)

    async def get_instance(self, request: pb.GetInstanceRequest, _: CallContext) -> pb.GetInstanceResponse:
        """The state of an orchestration, or that there is none."""
        await self._settled()
        return self._response(request)

    async def wait_for(self, request: pb.GetInstanceRequest, *, finished: bool) -> pb.GetInstanceResponse:
        """The instance once it has started, or finished; one that does not exist yet is waited for.

        There is no time limit: the caller's own deadline cancels the wait. Raises `Refused` when the hub stops.
        """
        try:
            await self._instances.wait(request.instanceId, finished=finished)
        except StoreFailed as failed:
            raise Refused(grpc.StatusCode.UNAVAILABLE, str(failed)) from None
        return self._response(request)

    async def raise_event(self, request: pb.RaiseEventRequest, _: CallContext) -> pb.RaiseEventResponse:
        """Have an unfinished orchestration take in an event."""
        data = request.input.value if request.HasField("input") else None
        self._engine.raise_event(self._unfinished(request.instanceId), request.name, data)
        await self._settled()
        return pb.RaiseEventResponse()

    async def terminate_instance(self, request: pb.TerminateRequest, _: CallContext) -> pb.TerminateResponse:
        """Have an unfinished orchestration end."""
        output = request.output.value if request.HasField("output") else None
        self._engine.terminate(self._unfinished(request.instanceId), output, recursive=request.recursive)
        await self._settled()
        return pb.TerminateResponse()

    async def suspend_instance(self, request: pb.SuspendRequest, _: CallContext) -> pb.SuspendResponse:
        """Have an unfinished orchestration pause."""
        reason = request.reason.value if request.HasField("reason") else None
        self._engine.suspend(self._unfinished(request.instanceId), reason)
        await self._settled()
        return pb.SuspendResponse()

    async def resume_instance(self, request: pb.ResumeRequest, _: CallContext) -> pb.ResumeResponse:
        """Have a paused orchestration go on."""
        reason = request.reason.value if request.HasField("reason") else None
        self._engine.resume(self._unfinished(request.instanceId), reason)
        await self._settled()
        return pb.ResumeResponse()

    def _unfinished(self, instance_id: str) -> Instance:
        try:
            self._engine.context.commits.require_open()
        except StoreFailed as failed:
            raise Refused(grpc.StatusCode.UNAVAILABLE, str(failed)) from None
        instance = self._instances.find(instance_id)
        if instance is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"no orchestration has the instance id '{instance_id}'")
        if instance.finished:
            state = pb.OrchestrationStatus.Name(instance.status).removeprefix("ORCHESTRATION_STATUS_").lower()
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f"the orchestration '{instance_id}' is {state}")
        return instance

    async def _settled(self) -> None:
        try:
            await self._engine.settled()
        except StoreFailed as failed:
            raise Refused(grpc.StatusCode.UNAVAILABLE, str(failed)) from None

    def _response(self, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
        instance = self._engine.context.journal.find(request.instanceId)
        if instance is None:
            return pb.GetInstanceResponse(exists=False)
        return pb.GetInstanceResponse(
            exists=True, orchestrationState=state_of(self._engine, instance, payloads=request.getInputsAndOutputs)
        )


def beginning_of(request: pb.CreateInstanceRequest) -> Beginning:
    """What a client's request starts an orchestration with."""
    scheduled = request.scheduledStartTimestamp if request.HasField("scheduledStartTimestamp") else None
    return Beginning(
        name=request.name,
        instance_id=request.instanceId,
        version=request.version.value if request.HasField("version") else None,
        input=request.input.value if request.HasField("input") else None,
        scheduled_at=None if scheduled is None else events.instant(scheduled),
        tags=dict(request.tags),
        trace_context=request.parentTraceContext if request.HasField("parentTraceContext") else None,
    )


def state_of(engine: Engine, instance: Instance, *, payloads: bool) -> pb.OrchestrationState:
    """The state of an instance as it is on disk, with its input and output when `payloads`."""
    journal = engine.context.journal
    completed, scheduled, parent = instance.completed_at, instance.scheduled_at, instance.parent
    return pb.OrchestrationState(
        instanceId=instance.id,
        name=instance.name,
        version=events.text(instance.version),
        orchestrationStatus=instance.status,
        scheduledStartTimestamp=None if scheduled is None else events.timestamp(scheduled),
        createdTimestamp=events.timestamp(instance.created_at),
        lastUpdatedTimestamp=events.timestamp(instance.updated_at),
        completedTimestamp=None if completed is None else events.timestamp(completed),
        input=events.text(journal.input_text(instance.key)) if payloads else None,
        output=events.text(journal.output_text(instance.key)) if payloads else None,
        customStatus=events.text(instance.custom_status),
        failureDetails=instance.failure,
        executionId=events.text(instance.execution_id),
        parentInstanceId=None if parent is None else events.text(parent.instance_id),
        tags=instance.tags,
    )
