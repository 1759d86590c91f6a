"""Going on from an earlier sequence: a new run begins at one of its steps, with what the steps before it made.

What an earlier run itself had taken over from one before it is found there.
"""

from collections.abc import Mapping

from orchestrations.requests import ResumeFrom, SequentialRequest
from shared.contracts import EarlierOutput
from shared.errors import InvalidRequest, StateCorrupted
from shared.state.documents import RunRecord
from shared.state.store import StateStore
from shared.status import StepStatus

_LONGEST_CHAIN = 20


async def with_earlier(request: SequentialRequest, store: StateStore) -> SequentialRequest:
    """The request, with the agents and the request of the earlier run where it leaves them out.

    Raises `InvalidRequest`, which names the field.
    """
    if request.resume_from is None:
        return request
    before = earlier_request(await _record(request.resume_from, store))
    given = {"agents": request.agents or before.agents, "request": request.request or before.request}
    return request.model_copy(update=given)


async def reused(request: SequentialRequest, store: StateStore) -> tuple[EarlierOutput, ...]:
    """What the steps before the one to begin at made. Raises `InvalidRequest`, which names the field."""
    if request.resume_from is None:
        return ()
    made: dict[str, EarlierOutput] = {}
    source: ResumeFrom | None = request.resume_from
    for _ in range(_LONGEST_CHAIN):
        if source is None:
            break
        record = await _record(source, store)
        made = outputs_of(record) | made
        source = earlier_request(record).resume_from
    return taken_over(request, made)


def outputs_of(record: RunRecord) -> dict[str, EarlierOutput]:
    """What each step of a run that succeeded made, by the step's id."""
    return {
        step.step_id: EarlierOutput(step_id=step.step_id, agent=step.agent, output=step.result.output)
        for step in record.steps
        if step.status is StepStatus.SUCCEEDED and step.result is not None
    }


def taken_over(request: SequentialRequest, made: Mapping[str, EarlierOutput]) -> tuple[EarlierOutput, ...]:
    """The outputs of the steps before the one to begin at, each made by the agent that the request has there.

    Raises `InvalidRequest` when there is no such step, or one before it made nothing that could be taken over.
    """
    nodes, start = request.nodes(), request.resume_from
    if start is None:
        return ()
    names = [placed.name for placed in nodes]
    if start.step not in names:
        raise _refused(f"no step is called {start.step}; there are {', '.join(names)}")
    found: list[EarlierOutput] = []
    for placed in nodes[: names.index(start.step)]:
        output = made.get(placed.name)
        if output is None or output.agent != placed.agent:
            raise _refused(f"{placed.name} made nothing in run {start.run} that could be taken over")
        found.append(output)
    return tuple(found)


def earlier_request(record: RunRecord) -> SequentialRequest:
    """What an earlier run was asked. Raises `InvalidRequest` unless it was a sequence."""
    if record.run.type != "sequential" or record.run.request is None:
        raise _refused(f"run {record.run.task_id} is no sequence", field="resume_from.run")
    try:
        return SequentialRequest.model_validate(record.run.request)
    except ValueError as error:
        raise StateCorrupted(f"the request of run {record.run.task_id} cannot be read: {error}") from None


async def _record(source: ResumeFrom, store: StateStore) -> RunRecord:
    record = await store.read_run(source.run)
    if record is None:
        raise _refused(f"there is no run {source.run}", field="resume_from.run")
    return record


def _refused(message: str, field: str = "resume_from.step") -> InvalidRequest:
    return InvalidRequest(f"{field}: {message}", field=field)
