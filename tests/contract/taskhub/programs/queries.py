"""Asking: one instance, listings with filters and pages, waits, histories."""

from datetime import UTC, datetime, timedelta

from durabletask.client import OrchestrationQuery, OrchestrationState, OrchestrationStatus
from durabletask.history import to_dict

from tests.contract.taskhub.programs.common import chain, failing, nothing, waiting
from tests.contract.taskhub.programs.timers import sleeping
from tests.support.conformance.catalog import program
from tests.support.conformance.run import Run


def _brief(states: list[OrchestrationState]) -> list[list[str | None]]:
    return sorted(
        [state.instance_id, state.runtime_status.name, state.serialized_input, state.serialized_output]
        for state in states
    )


async def _three(run: Run) -> None:
    await run.go(nothing, 1, name="a1")
    await run.go(failing, "bang", name="a2")
    await run.start(waiting, "go", name="b1")
    await run.says("waiting", run.id("b1"))


async def _end(run: Run) -> None:
    await run.client.raise_orchestration_event(run.id("b1"), "go")
    await run.finished(run.id("b1"))


@program(alone=True)
async def listing_everything(run: Run) -> None:
    await _three(run)
    run.note("all", _brief(await run.client.get_all_orchestration_states()))
    query = OrchestrationQuery(fetch_inputs_and_outputs=True)
    run.note("with payloads", _brief(await run.client.get_all_orchestration_states(query)))
    await _end(run)


@program(alone=True)
async def listing_by_status(run: Run) -> None:
    await _three(run)
    for status in OrchestrationStatus:
        query = OrchestrationQuery(runtime_status=[status])
        run.note(status.name, _brief(await run.client.get_all_orchestration_states(query)))
    query = OrchestrationQuery(runtime_status=[OrchestrationStatus.FAILED, OrchestrationStatus.RUNNING])
    run.note("two", _brief(await run.client.get_all_orchestration_states(query)))
    await _end(run)


@program()
async def listing_by_prefix(run: Run) -> None:
    await _three(run)
    for prefix in ("a", "b", "nobody"):
        query = OrchestrationQuery(instance_id_prefix=run.id(prefix))
        run.note(prefix, _brief(await run.client.get_all_orchestration_states(query)))
    await _end(run)


@program()
async def listing_by_time(run: Run) -> None:
    await _three(run)
    now = datetime.now(UTC)
    for name, begin, end in (("past", -1, -0.5), ("present", -1, 1), ("future", 1, 2)):
        query = OrchestrationQuery(
            created_time_from=now + timedelta(hours=begin),
            created_time_to=now + timedelta(hours=end),
            instance_id_prefix=run.id(""),
        )
        run.note(name, _brief(await run.client.get_all_orchestration_states(query)))
    await _end(run)


@program()
async def listing_by_pages(run: Run) -> None:
    for number in range(5):
        await run.go(nothing, number, name=str(number))
    for size in (1, 2, 5, 9):
        query = OrchestrationQuery(instance_id_prefix=run.id(""), max_instance_count=size)
        run.note(f"pages of {size}", _brief(await run.client.get_all_orchestration_states(query)))


@program(alone=True)
async def listing_finished_ids_by_pages(run: Run) -> None:
    for number in range(4):
        await run.go(nothing, number, name=str(number))
    await run.go(failing, "bang", name="failed")
    token, pages = None, []
    while True:
        page = await run.client.list_instance_ids(page_size=2, continuation_token=token)
        pages.append(page.items)
        if (token := page.continuation_token) is None:
            break
    run.note("pages", pages)
    run.note("failed", (await run.client.list_instance_ids([OrchestrationStatus.FAILED])).items)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    run.note("tomorrow", (await run.client.list_instance_ids(completed_time_from=tomorrow)).items)


@program()
async def one_that_does_not_exist(run: Run) -> None:
    run.note("state", await run.client.get_orchestration_state(run.id("nobody")))
    await run.note_refusal("history", run.client.get_orchestration_history(run.id("nobody")))


@program()
async def state_without_payloads(run: Run) -> None:
    await run.go(nothing, "long")
    state = await run.client.get_orchestration_state(run.id(), fetch_payloads=False)
    assert state is not None
    run.note("payloads", [state.serialized_input, state.serialized_output])


@program()
async def waiting_for_the_start_and_the_end(run: Run) -> None:
    await run.start(sleeping, 0.1)
    started = await run.client.wait_for_orchestration_start(run.id(), timeout=10)
    run.note("started", started is not None and started.instance_id)
    ended = await run.client.wait_for_orchestration_completion(run.id(), timeout=10)
    run.note("ended", ended and [ended.runtime_status.name, ended.serialized_output])
    again = await run.client.wait_for_orchestration_completion(run.id(), timeout=10)
    run.note("again", again and again.runtime_status.name)


@program()
async def waiting_longer_than_one_has_time(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.note_refusal("wait", run.client.wait_for_orchestration_completion(run.id(), timeout=0.2))
    await run.client.raise_orchestration_event(run.id(), "go")
    await run.finished()


@program()
async def history_as_the_sdk_reads_it(run: Run) -> None:
    await run.go(chain, 2)
    events = [to_dict(event) for event in await run.client.get_orchestration_history(run.id())]
    run.note("kinds", [event["event_type"] if "event_type" in event else sorted(event) for event in events])


@program()
async def history_of_many_chunks(run: Run) -> None:
    await run.go(chain, 30)
    run.note("events", len(await run.client.get_orchestration_history(run.id())))
