"""Termination, recursive or not, suspension and resumption."""

from durabletask.client import OrchestrationStatus

from tests.contract.taskhub.programs.activities import working_slowly
from tests.contract.taskhub.programs.common import nothing, waiting
from tests.contract.taskhub.programs.sub_orchestrations import parent_of_named
from tests.contract.taskhub.programs.timers import sleeping
from tests.support.conformance.catalog import program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run


@program()
async def termination_of_one_that_waits(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.client.terminate_orchestration(run.id(), output={"why": "enough"})
    await run.finished()


@program()
async def termination_without_an_output(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.client.terminate_orchestration(run.id())
    await run.finished()


@program()
async def termination_with_a_timer_set(run: Run) -> None:
    await run.start(sleeping, 3600)
    await run.recorded("timerCreated")
    await run.client.terminate_orchestration(run.id(), output="enough")
    await run.finished()


@program()
async def termination_while_an_activity_runs(run: Run) -> None:
    await run.start(working_slowly, 0.3)
    await run.recorded("taskScheduled")
    await run.client.terminate_orchestration(run.id(), output="enough")
    await run.finished()


@program()
async def termination_of_a_finished_one(run: Run) -> None:
    await run.go(nothing, 1)
    await run.note_refusal("terminate", run.client.terminate_orchestration(run.id()))


@program()
async def termination_of_nobody(run: Run) -> None:
    await run.note_refusal("terminate", run.client.terminate_orchestration(run.id("nobody")))


async def _family(run: Run) -> str:
    await run.start(parent_of_named, ["waiting", "go", run.id("child")])
    await run.says("waiting", run.id("child"))
    return run.id("child")


@program()
async def termination_of_the_whole_family(run: Run) -> None:
    child = await _family(run)
    await run.client.terminate_orchestration(run.id(), output="enough", recursive=True)
    await run.finished()
    # A hub that left the child alone would have it go on to its end.
    await run.note_refusal("event", run.client.raise_orchestration_event(child, "go", data="on my own"))
    await run.finished(child)


@program()
async def termination_of_the_parent_alone(run: Run) -> None:
    child = await _family(run)
    await run.client.terminate_orchestration(run.id(), output="enough", recursive=False)
    await run.finished()
    await run.client.raise_orchestration_event(child, "go", data="on my own")
    await run.finished(child)


@program()
async def suspension_and_resumption(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.client.suspend_orchestration(run.id(), reason="hold on")
    await run.has(OrchestrationStatus.SUSPENDED)
    await run.client.resume_orchestration(run.id(), reason="go on")
    await run.has(OrchestrationStatus.RUNNING)
    await run.client.raise_orchestration_event(run.id(), "go", data=1)
    await run.finished()


@program(order=Order.RACING)
async def event_while_suspended(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.client.suspend_orchestration(run.id())
    await run.has(OrchestrationStatus.SUSPENDED)
    await run.client.raise_orchestration_event(run.id(), "go", data="kept")
    state = await run.client.get_orchestration_state(run.id())
    run.note("status", state.runtime_status.name if state else None)
    await run.client.resume_orchestration(run.id())
    await run.finished()


@program(order=Order.RACING)
async def timer_while_suspended(run: Run) -> None:
    await run.start(sleeping, 0.3)
    await run.recorded("timerCreated")
    await run.client.suspend_orchestration(run.id())
    await run.has(OrchestrationStatus.SUSPENDED)
    await run.start(sleeping, 0.4, name="meanwhile")
    await run.finished(run.id("meanwhile"))
    state = await run.client.get_orchestration_state(run.id())
    run.note("status", state.runtime_status.name if state else None)
    await run.client.resume_orchestration(run.id())
    await run.finished()


@program(order=Order.RACING)
async def activity_that_ends_while_suspended(run: Run) -> None:
    await run.start(working_slowly, 0.2)
    await run.recorded("taskScheduled")
    await run.client.suspend_orchestration(run.id())
    await run.has(OrchestrationStatus.SUSPENDED)
    await run.start(working_slowly, 0.3, name="meanwhile")
    await run.finished(run.id("meanwhile"))
    await run.client.resume_orchestration(run.id())
    await run.finished()


@program()
async def suspension_twice(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    for _ in range(2):
        await run.client.suspend_orchestration(run.id())
        await run.has(OrchestrationStatus.SUSPENDED)
    await run.client.resume_orchestration(run.id())
    await run.has(OrchestrationStatus.RUNNING)
    await run.client.raise_orchestration_event(run.id(), "go")
    await run.finished()


@program()
async def resumption_of_one_that_runs(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.note_refusal("resume", run.client.resume_orchestration(run.id()))
    await run.client.raise_orchestration_event(run.id(), "go", data="gone")
    await run.finished()


@program(order=Order.RACING)
async def suspension_and_resumption_three_times(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    for _ in range(3):
        await run.client.suspend_orchestration(run.id())
        await run.has(OrchestrationStatus.SUSPENDED)
        await run.client.resume_orchestration(run.id())
        await run.has(OrchestrationStatus.RUNNING)
    await run.client.raise_orchestration_event(run.id(), "go")
    await run.finished()


@program()
async def termination_of_a_suspended_one(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.client.suspend_orchestration(run.id())
    await run.has(OrchestrationStatus.SUSPENDED)
    await run.client.terminate_orchestration(run.id(), output="enough")
    await run.finished()


@program()
async def suspension_and_resumption_of_nobody(run: Run) -> None:
    await run.note_refusal("suspend", run.client.suspend_orchestration(run.id("nobody")))
    await run.note_refusal("resume", run.client.resume_orchestration(run.id("nobody")))


@program()
async def suspension_of_a_finished_one(run: Run) -> None:
    await run.go(nothing, 1)
    await run.note_refusal("suspend", run.client.suspend_orchestration(run.id()))


@program()
async def resumption_of_a_finished_one(run: Run) -> None:
    await run.go(nothing, 1)
    await run.note_refusal("resume", run.client.resume_orchestration(run.id()))
