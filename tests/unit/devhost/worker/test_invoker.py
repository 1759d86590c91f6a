import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest
from azure_functions_runtime.bindings.datumdef import Datum

from devhost.clock import ManualClock
from devhost.worker.invoker import Invoker
from devhost.worker.model import FunctionMetadata, InvocationError
from devhost.worker.worker import Returned
from tests.support.eventually import eventually
from tests.support.functions import binding, function

FUNCTION = function("work", binding("timerTrigger", "timer"), binding("durableClient", "client"))
TRIGGER = Datum("t", "string")


class FakeWorker:
    """Stands in for the worker: records inputs, waits when told to, returns or fails."""

    def __init__(self, before_return: Callable[[], None] | None = None) -> None:
        self.inputs: list[dict[str, object]] = []
        self.gate: asyncio.Event | None = None
        self.error: InvocationError | None = None
        self.cancelled = False
        self._before_return = before_return

    async def invoke(
        self,
        function: FunctionMetadata,
        inputs: Sequence[tuple[str, Datum]],
        *,
        metadata: Mapping[str, Datum],
        trace_parent: str = "",
    ) -> Returned:
        self.inputs.append({name: value.value for name, value in inputs})
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self._before_return is not None:
            self._before_return()
        return Returned("id", Datum("r", "string"), {}, self.error)


async def test_a_durable_client_is_added_for_every_binding_that_asks_for_one() -> None:
    worker = FakeWorker()
    plain = function("plain", binding("timerTrigger", "timer"))
    invoker = Invoker(worker, ManualClock(), durable_client=lambda: "{}")
    await invoker(FUNCTION, TRIGGER)
    await invoker(plain, TRIGGER)
    assert worker.inputs == [{"timer": "t", "client": "{}"}, {"timer": "t"}]


async def test_a_call_leaves_one_line_with_function_reason_outcome_and_duration(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    worker = FakeWorker(lambda: clock.advance(timedelta(milliseconds=25)))
    invoker = Invoker(worker, clock)
    with caplog.at_level(logging.INFO):
        result = await invoker(FUNCTION, TRIGGER, reason="message 7")
    assert result.duration == timedelta(milliseconds=25)
    assert caplog.messages == ["work (message 7): ok in 25 ms"]


async def test_a_failure_is_an_error_line_and_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    worker = FakeWorker()
    worker.error = InvocationError("ValueError", "why", "Traceback ...")
    with caplog.at_level(logging.INFO):
        result = await Invoker(worker, ManualClock())(FUNCTION, TRIGGER)
    assert not result.succeeded
    assert caplog.messages == ["work: FAILED: ValueError: why in 0 ms", "Traceback ..."]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


async def test_a_call_goes_on_when_its_caller_is_cancelled_and_draining_waits_for_it() -> None:
    worker = FakeWorker()
    worker.gate = asyncio.Event()
    invoker = Invoker(worker, ManualClock())
    caller = asyncio.create_task(invoker(FUNCTION, TRIGGER))
    await eventually(lambda: worker.inputs)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert invoker.running == 1
    draining = asyncio.create_task(invoker.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    worker.gate.set()
    await draining
    assert invoker.running == 0
    assert not worker.cancelled


async def test_a_call_that_lasts_longer_than_the_function_timeout_has_failed_and_is_cancelled() -> None:
    clock = ManualClock()
    worker = FakeWorker()
    worker.gate = asyncio.Event()
    invoker = Invoker(worker, clock, timeout=timedelta(minutes=5))
    call = asyncio.create_task(invoker(FUNCTION, TRIGGER))
    await eventually(lambda: worker.inputs)
    clock.advance(timedelta(minutes=4, seconds=59))
    await asyncio.sleep(0)
    assert not call.done()
    clock.advance(timedelta(seconds=1))
    result = await call
    assert result.error is not None
    assert result.error.type == "FunctionTimeoutException"
    assert "0:05:00" in result.error.message
    await eventually(lambda: worker.cancelled)


async def test_a_call_within_the_function_timeout_leaves_nothing_behind() -> None:
    invoker = Invoker(FakeWorker(), ManualClock(), timeout=timedelta(minutes=5))
    assert (await invoker(FUNCTION, TRIGGER)).succeeded
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_outputs_are_written_before_the_call_is_done_and_a_failure_to_do_so_fails_it() -> None:
    written: list[Mapping[str, object]] = []

    async def write(function: FunctionMetadata, values: Mapping[str, Datum], trace_parent: str) -> None:
        written.append({name: value.value for name, value in values.items()} | {"trace": trace_parent})
        if len(written) > 1:
            raise ConnectionError("no namespace")

    worker = FakeWorker()
    invoker = Invoker(worker, ManualClock(), write_outputs=write)
    assert (await invoker(FUNCTION, TRIGGER, trace_parent="t")).succeeded
    second = await invoker(FUNCTION, TRIGGER, trace_parent="t")
    assert second.error is not None
    assert "ConnectionError: no namespace" in second.error.message
    worker.error = InvocationError("ValueError", "why", "")
    await invoker(FUNCTION, TRIGGER)
    assert written == [{"$return": "r", "trace": "t"}] * 2
