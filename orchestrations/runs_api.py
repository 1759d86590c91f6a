"""Runs over HTTP beyond one look at one: lists, counts, logs, the past, export and removal."""

from typing import Annotated

import azure.durable_functions as df
import azure.functions as func
import grpc
from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter, ValidationError

from orchestrations.purging import purge_run
from orchestrations.task_view import task_view
from shared.contracts import AgentName, Contract
from shared.errors import InvalidRequest, NotFound, TaskHubUnavailable
from shared.http import answers_problems, json_response, read_query
from shared.resources import Resources
from shared.state.events import EventLog
from shared.state.export import export_of
from shared.state.listing import MAX_PAGE, RunFilter
from shared.state.projection import replay, until
from shared.state.store import StateStore
from shared.status import RunStatus

MAX_EVENTS = 1000

type _Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class WhichRuns(Contract):
    """The conditions in a query. `from` is included in the time span, `to` is not; both have a time zone."""

    status: RunStatus | None = None
    type: Annotated[str, StringConstraints(max_length=100)] | None = None
    agent: AgentName | None = None
    text: _Text | None = None
    since: AwareDatetime | None = Field(default=None, alias="from")
    before: AwareDatetime | None = Field(default=None, alias="to")

    @property
    def conditions(self) -> RunFilter:
        """The same, as the store is asked."""
        return RunFilter(
            status=self.status,
            type=self.type,
            agent=self.agent,
            text=self.text,
            since=self.since,
            before=self.before,
        )


class ListRuns(WhichRuns):
    """The query of `GET tasks`."""

    limit: int = Field(default=50, ge=1, le=MAX_PAGE)
    continuation: Annotated[str, StringConstraints(max_length=500)] | None = None


class ReadLog(Contract):
    """The query of `GET task/{id}/events`: what follows event `after`, and nothing beyond `until`."""

    after: int = Field(default=0, ge=0)
    limit: int = Field(default=MAX_EVENTS, ge=1, le=MAX_EVENTS)
    until: str | None = None


class Export(Contract):
    """The query of `GET task/{id}/export`: whether the file holds the run's artifacts, too."""

    artifacts: bool = True


class Replay(Contract):
    """The query of `GET task/{id}/replay`."""

    until: str


def runs_routes(resources: Resources) -> df.Blueprint:
    """A blueprint with `tasks`, `tasks/counts`, and `events`, `replay`, `export` and `DELETE` of a task."""
    blueprint = df.Blueprint()
    _add_lists(blueprint, resources.store)
    _add_logs(blueprint, resources)
    _add_whole_runs(blueprint, resources)
    return blueprint


def _add_lists(blueprint: df.Blueprint, store: StateStore) -> None:
    @blueprint.function_name("list_tasks")
    @blueprint.route("tasks", methods=["GET"])
    @answers_problems
    async def list_tasks(req: func.HttpRequest) -> func.HttpResponse:
        asked = read_query(req, ListRuns)
        page = await store.list_runs(asked.conditions, limit=asked.limit, continuation=asked.continuation)
        return json_response({"tasks": page.runs, "continuation": page.continuation})

    @blueprint.function_name("count_tasks")
    @blueprint.route("tasks/counts", methods=["GET"])
    @answers_problems
    async def count_tasks(req: func.HttpRequest) -> func.HttpResponse:
        counts = await store.count_runs(read_query(req, WhichRuns).conditions)
        return json_response({"total": sum(counts.values()), "by_status": dict(counts)})


def _add_logs(blueprint: df.Blueprint, resources: Resources) -> None:
    @blueprint.function_name("get_task_events")
    @blueprint.route("task/{id}/events", methods=["GET"])
    @answers_problems
    async def get_task_events(req: func.HttpRequest) -> func.HttpResponse:
        asked = read_query(req, ReadLog)
        log = await _log(req, resources)
        events = until(log.events, _point(asked.until)) if asked.until is not None else log.events
        shown = events[asked.after : asked.after + asked.limit]
        follows = asked.after + len(shown) < len(events)
        body = {
            "task_id": log.task_id,
            "events": [{"sequence": each.sequence, **each.event.model_dump(mode="json")} for each in shown],
            "next_after": shown[-1].sequence if shown and follows else None,
            "request_units": log.request_units,
        }
        return json_response(body)

    @blueprint.function_name("replay_task")
    @blueprint.route("task/{id}/replay", methods=["GET"])
    @answers_problems
    async def replay_task(req: func.HttpRequest) -> func.HttpResponse:
        point = _point(read_query(req, Replay).until)
        events = until((await _log(req, resources)).events, point)
        record = replay(events)
        if record is None:
            raise NotFound("there was no such task yet")
        return json_response({"sequence": events[-1].sequence, "task": task_view(record)})


def _add_whole_runs(blueprint: df.Blueprint, resources: Resources) -> None:
    @blueprint.function_name("export_task")
    @blueprint.route("task/{id}/export", methods=["GET"])
    @answers_problems
    async def export_task(req: func.HttpRequest) -> func.HttpResponse:
        log = await _log(req, resources)
        with_artifacts = read_query(req, Export).artifacts
        export = await export_of(log, resources.clock.now(), resources.artifacts if with_artifacts else None)
        return json_response(export, headers={"Content-Disposition": 'attachment; filename="run.json"'})

    @blueprint.function_name("delete_task")
    @blueprint.route("task/{id}", methods=["DELETE"])
    @blueprint.durable_client_input(client_name="client")
    @answers_problems
    async def delete_task(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        purged = await purge_run(req.route_params["id"], histories=DurableHistories(client), resources=resources)
        return json_response(purged)


class DurableHistories:
    """The durable client, seen as what a purge needs."""

    def __init__(self, client: df.DurableFunctionsClient) -> None:
        self._client = client

    async def purge(self, instance_id: str) -> int:
        """Remove a history with those of its sub-orchestrations. Raises `TaskHubUnavailable`."""
        try:
            purged = await self._client.purge_orchestration(instance_id, recursive=True)
        except grpc.aio.AioRpcError as error:
            raise TaskHubUnavailable(f"the task hub did not answer: {error.details()}") from error
        return int(purged.deleted_instance_count)


async def _log(req: func.HttpRequest, resources: Resources) -> EventLog:
    task_id = req.route_params["id"]
    log = await resources.store.read_log(task_id)
    if log is None:
        raise NotFound(f"there is no task {task_id[:100]}")
    return log


_TIME: TypeAdapter[AwareDatetime] = TypeAdapter(AwareDatetime)


def _point(text: str) -> int | AwareDatetime:
    """A point of a log: an event's number, or a time. Raises `InvalidRequest`."""
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    try:
        # Without its T it may be a mere number, which pydantic takes for seconds after 1970.
        return _TIME.validate_python(text if "T" in text else "")
    except ValidationError:
        raise InvalidRequest(
            "until is an event's number, or a time with its zone such as 2026-01-01T12:00:00Z", field="until"
        ) from None
