import base64
from collections.abc import Mapping
from datetime import timedelta

import azure.durable_functions as df
import pytest
from azure_functions_runtime.bindings.datumdef import Datum
from durabletask import task
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.hub import Turn
from devhost.worker.model import Binding, FunctionMetadata, InvocationError, InvocationResult
from tests.support.sdk_app import SdkApp

CRASH = InvocationError("ImportError", "no module named x", "Traceback: ...")


def function(name: str, trigger: str, **properties: str) -> FunctionMetadata:
    binding = Binding("arg", trigger, is_output=False, properties=properties)
    return FunctionMetadata(name, f"id-{name}", binding, (binding,))


FUNCTIONS = (
    function("orchestrate", "orchestrationTrigger"),
    function("renamed_orchestrator", "orchestrationTrigger", orchestration="Order"),
    function("work", "activityTrigger"),
    function("renamed_activity", "activityTrigger", activity="Pay"),
    function("renamed_entity", "entityTrigger", entityName="Counter"),
    function("page", "httpTrigger"),
)


class FakeInvoke:
    """Answers every call with one value or error, and keeps what it was called with."""

    def __init__(self, answer: Datum | InvocationError | None = None) -> None:
        self._answer = answer
        self.function = ""
        self.trigger = Datum(None, None)
        self.trace_parent = ""
        self.reason = ""

    async def __call__(
        self,
        function: FunctionMetadata,
        trigger: Datum,
        *,
        metadata: Mapping[str, Datum] | None = None,
        trace_parent: str = "",
        reason: str = "",
    ) -> InvocationResult:
        self.function, self.trigger, self.trace_parent, self.reason = function.name, trigger, trace_parent, reason
        if isinstance(self._answer, InvocationError):
            return InvocationResult("i", None, {}, self._answer, timedelta(0))
        return InvocationResult("i", self._answer, {}, None, timedelta(0))


def encoded(message: Message) -> Datum:
    return Datum(base64.b64encode(message.SerializeToString()).decode(), "string")


def turn(name: str, trace_parent: str = "") -> Turn:
    trace = pb.TraceContext(traceParent=trace_parent)
    started = helpers.new_execution_started_event(name, "abc", "1", parent_trace_context=trace)
    return Turn("abc", "e1", (), [helpers.new_orchestrator_started_event(), started])


def batch(entity: str, operations: int = 1) -> pb.EntityBatchRequest:
    asked = [pb.OperationRequest(operation="add", requestId=str(number)) for number in range(operations)]
    return pb.EntityBatchRequest(instanceId=f"@{entity}@k", entityState=StringValue(value="41"), operations=asked)


def job(name: str, json_input: str | None = None) -> pb.ActivityRequest:
    value = None if json_input is None else StringValue(value=json_input)
    return pb.ActivityRequest(
        name=name, taskId=7, input=value, orchestrationInstance=pb.OrchestrationInstance(instanceId="abc")
    )


def failure_of(response: pb.OrchestratorResponse) -> pb.TaskFailureDetails:
    (action,) = response.actions
    assert action.completeOrchestration.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    failure: pb.TaskFailureDetails = action.completeOrchestration.failureDetails
    return failure


# -- Names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "called"),
    [("orchestrate", "orchestrate"), ("Order", "renamed_orchestrator"), ("ORDER", "renamed_orchestrator")],
)
async def test_an_orchestrator_is_found_by_its_durable_name_in_any_case(name: str, called: str) -> None:
    invoke = FakeInvoke(encoded(pb.OrchestratorResponse(instanceId="abc")))
    await DurableExecutor(FUNCTIONS, invoke).orchestrator(turn(name))
    assert invoke.function == called


@pytest.mark.parametrize(("name", "called"), [("work", "work"), ("pay", "renamed_activity")])
async def test_an_activity_is_found_by_its_durable_name_in_any_case(name: str, called: str) -> None:
    invoke = FakeInvoke()
    await DurableExecutor(FUNCTIONS, invoke).activity(job(name))
    assert invoke.function == called


async def test_an_entity_is_found_by_its_name_in_lower_case() -> None:
    invoke = FakeInvoke(encoded(pb.EntityBatchResult(results=[pb.OperationResult()])))
    await DurableExecutor(FUNCTIONS, invoke).entity(batch("counter"))
    assert invoke.function == "renamed_entity"


@pytest.mark.parametrize("name", ["renamed_orchestrator", "work", "page", ""])
async def test_an_unknown_orchestrator_fails_the_orchestration_and_names_those_there_are(name: str) -> None:
    invoke = FakeInvoke()
    failure = failure_of(await DurableExecutor(FUNCTIONS, invoke).orchestrator(turn(name)))
    assert failure.errorMessage == f"the app has no orchestrator named '{name}'; registered: Order, orchestrate"
    assert failure.isNonRetriable
    assert invoke.function == ""


async def test_an_unknown_activity_fails_the_task_and_names_those_there_are() -> None:
    response = await DurableExecutor(FUNCTIONS, FakeInvoke()).activity(job("Order"))
    assert response.failureDetails.errorMessage == "the app has no activity named 'Order'; registered: Pay, work"


async def test_an_unknown_entity_fails_each_operation_and_keeps_the_state() -> None:
    result = await DurableExecutor(FUNCTIONS, FakeInvoke()).entity(batch("nobody", operations=3))
    messages = [each.failure.failureDetails.errorMessage for each in result.results]
    assert messages == ["the app has no entity named 'nobody'; registered: Counter"] * 3
    assert result.entityState.value == "41"


@pytest.mark.parametrize("instance_id", ["@nobody@a@b", "nobody", "@"])
async def test_an_entity_id_that_makes_no_sense_is_an_unknown_entity(instance_id: str) -> None:
    request = pb.EntityBatchRequest(instanceId=instance_id, operations=[pb.OperationRequest(operation="add")])
    result = await DurableExecutor(FUNCTIONS, FakeInvoke()).entity(request)
    assert "no entity named" in result.results[0].failure.failureDetails.errorMessage


async def test_an_app_without_any_says_so() -> None:
    response = await DurableExecutor((), FakeInvoke()).activity(job("x"))
    assert response.failureDetails.errorMessage.endswith("registered: none")


def test_the_orchestrators_names_are_told() -> None:
    assert DurableExecutor(FUNCTIONS, FakeInvoke()).orchestrators == ("orchestrate", "Order")


# -- Orchestrators and entities ----------------------------------------------------------------------------------------


async def test_an_orchestrator_gets_its_request_and_its_response_comes_back_unchanged() -> None:
    action = helpers.new_complete_orchestration_action(1, pb.ORCHESTRATION_STATUS_COMPLETED, '"done"', None)
    response = pb.OrchestratorResponse(instanceId="abc", actions=[action], customStatus=StringValue(value='"s"'))
    invoke = FakeInvoke(encoded(response))
    first = turn("orchestrate", trace_parent="00-ab-cd-01")
    assert await DurableExecutor(FUNCTIONS, invoke).orchestrator(first) == response
    received = pb.OrchestratorRequest.FromString(base64.b64decode(invoke.trigger.value))
    assert (received, invoke.trigger.type) == (first.request(), "string")
    assert (received.executionId.value, list(received.newEvents)) == ("e1", first.new_events)
    assert invoke.trace_parent == "00-ab-cd-01"
    assert invoke.reason == "orchestration abc, 2 new events"


async def test_an_orchestrator_in_a_later_turn_is_found_by_its_history() -> None:
    first = turn("orchestrate")
    later = Turn("abc", "e1", first.new_events, [helpers.new_orchestrator_started_event()])
    invoke = FakeInvoke(encoded(pb.OrchestratorResponse(instanceId="abc")))
    await DurableExecutor(FUNCTIONS, invoke).orchestrator(later)
    assert invoke.function == "orchestrate"


async def test_a_crash_of_the_orchestrators_function_fails_the_orchestration_with_that_error() -> None:
    failure = failure_of(await DurableExecutor(FUNCTIONS, FakeInvoke(CRASH)).orchestrator(turn("orchestrate")))
    assert (failure.errorType, failure.errorMessage) == ("ImportError", "no module named x")
    assert failure.stackTrace.value == "Traceback: ..."


@pytest.mark.parametrize(
    "answer", [None, Datum(None, None), Datum("", "string"), Datum("hello", "string"), Datum("/////w==", "string")]
)
async def test_an_orchestrator_that_returns_no_response_fails_the_orchestration(answer: Datum | None) -> None:
    failure = failure_of(await DurableExecutor(FUNCTIONS, FakeInvoke(answer)).orchestrator(turn("orchestrate")))
    assert "'orchestrate' did not return a Durable Task response" in failure.errorMessage


async def test_an_entity_gets_its_batch_and_its_result_comes_back_unchanged() -> None:
    result = pb.EntityBatchResult(
        results=[pb.OperationResult(success=pb.OperationResultSuccess(result=StringValue(value="42")))],
        entityState=StringValue(value="42"),
    )
    invoke = FakeInvoke(encoded(result))
    request = batch("counter")
    assert await DurableExecutor(FUNCTIONS, invoke).entity(request) == result
    assert pb.EntityBatchRequest.FromString(base64.b64decode(invoke.trigger.value)) == request
    assert invoke.reason == "entity @counter@k, 1 operations"


async def test_a_crash_of_the_entitys_function_fails_each_operation_and_keeps_the_state() -> None:
    result = await DurableExecutor(FUNCTIONS, FakeInvoke(CRASH)).entity(batch("counter", operations=2))
    assert [each.failure.failureDetails.errorType for each in result.results] == ["ImportError"] * 2
    assert result.entityState.value == "41"


# -- Activities --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("json_input", ['"text"', '{"a": [1, 2.5, null]}', "0", "null"])
async def test_an_activity_gets_its_input_as_json_text(json_input: str) -> None:
    invoke = FakeInvoke()
    await DurableExecutor(FUNCTIONS, invoke).activity(job("work", json_input))
    assert (invoke.trigger.value, invoke.trigger.type) == (json_input, "json")
    assert invoke.reason == "task 7 of abc"


async def test_an_activity_without_input_gets_null() -> None:
    invoke = FakeInvoke()
    await DurableExecutor(FUNCTIONS, invoke).activity(job("work"))
    assert invoke.trigger.value == "null"


@pytest.mark.parametrize(
    ("returned", "result"),
    [
        (Datum('{"a": 1}', "json"), '{"a": 1}'),
        (Datum("plain words", "string"), '"plain words"'),
        (Datum('{"a": 1}', "string"), '{"a": 1}'),
        (Datum(b"bytes", "bytes"), '"bytes"'),
        (Datum(b"\xff", "bytes"), '"\\ufffd"'),
        (Datum(7, "int"), "7"),
        (Datum(0.5, "double"), "0.5"),
    ],
)
async def test_an_activitys_result_is_json_text_whatever_it_came_as(returned: Datum, result: str) -> None:
    response = await DurableExecutor(FUNCTIONS, FakeInvoke(returned)).activity(job("work"))
    assert response.result.value == result
    assert not response.HasField("failureDetails")


@pytest.mark.parametrize("returned", [None, Datum(None, None)])
async def test_an_activity_that_returns_nothing_has_no_result_and_has_not_failed(returned: Datum | None) -> None:
    response = await DurableExecutor(FUNCTIONS, FakeInvoke(returned)).activity(job("work"))
    assert not response.HasField("result")
    assert not response.HasField("failureDetails")


async def test_a_failed_activity_tells_type_message_and_stack_and_may_be_retried() -> None:
    response = await DurableExecutor(FUNCTIONS, FakeInvoke(CRASH)).activity(job("work"))
    details = response.failureDetails
    assert (details.errorType, details.errorMessage) == ("ImportError", "no module named x")
    assert details.stackTrace.value == "Traceback: ..."
    assert not details.isNonRetriable


async def test_a_failure_without_a_message_is_still_a_failure() -> None:
    response = await DurableExecutor(FUNCTIONS, FakeInvoke(InvocationError("KeyError", "", ""))).activity(job("work"))
    assert response.failureDetails.errorMessage == "KeyError"


# -- Orchestrators that hold up the host -------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "told"), [(0.9, False), (1.5, True)])
async def test_an_orchestrator_that_holds_up_the_host_is_told(
    seconds: float, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = df.DFApp()
    now = 0.0

    @app.orchestration_trigger(context_name="ctx")
    def sleepy(ctx: task.OrchestrationContext, _: None) -> None:
        nonlocal now
        now += seconds

    sdk = SdkApp(app)
    executor = DurableExecutor(sdk.functions, sdk, callable_of=sdk.callable_of, stopwatch=lambda: now)
    await executor.orchestrator(turn("sleepy"))
    said = "sleepy (orchestration abc): a turn over 2 events took 1.5 s, and everything else had to wait for it"
    assert any(message.startswith(said) for message in caplog.messages) is told
