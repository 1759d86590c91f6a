"""What Cosmos DB does when it is not well, or is not as the app expects: each time a clear error, or another try.

The stock client talks to a server with prepared answers: what a server on one machine cannot be made to do.
"""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.artifacts.files import FileArtifacts
from shared.errors import ClaimLost, ConfigurationError, DocumentTooLarge, MusterError, StateCorrupted, StoreUnavailable
from shared.state.cosmos import CosmosState
from shared.state.cosmos_container import CosmosConnection
from shared.state.cosmos_documents import EventBodies, run_item, step_item
from shared.state.cosmos_logs import log_item
from shared.state.decisions import Busy, Claimed
from shared.state.events import EventLog, NumberedEvent, RunCreated, StepClaimed
from shared.state.listing import RunFilter
from shared.state.projection import apply_to_step
from shared.status import RunStatus
from tests.support.documents import LEASE, a_claim, a_result, a_run, a_run_result, after
from tests.support.recorded_cosmos import Answer, Asked, RecordedCosmos, recorded_cosmos

KEY = "c2VjcmV0"
RETENTION = timedelta(days=10)


@pytest.fixture
async def service() -> AsyncIterator[RecordedCosmos]:
    async with recorded_cosmos() as running:
        yield running


@pytest.fixture
async def store(service: RecordedCosmos, tmp_path: Path) -> AsyncIterator[CosmosState]:
    connection = CosmosConnection(service.endpoint, "muster", "runs", key=KEY)
    made = CosmosState(connection, FileArtifacts(tmp_path), retention=RETENTION)
    yield made
    await made.close()


@pytest.fixture
async def run(tmp_path: Path) -> dict[str, Any]:
    """The document of a run."""
    event = await EventBodies(FileArtifacts(tmp_path)).packed("run-1", RunCreated(at=after(0), run=a_run()))
    return {**run_item(a_run(), [event]), "_etag": '"run"'}


@pytest.fixture
async def step(tmp_path: Path) -> dict[str, Any]:
    """The document of a step that `first` holds."""
    event = StepClaimed(
        at=after(0),
        step_id="research",
        agent="research",
        attempt=1,
        owner="first",
        lease_until=after(0) + LEASE,
        enqueued_at=after(-1),
    )
    packed = await EventBodies(FileArtifacts(tmp_path)).packed("run-1", event)
    return {**step_item(apply_to_step("run-1", None, event), [packed]), "_etag": '"step"'}


def throttled(milliseconds: int) -> Answer:
    return Answer(429, headers={"x-ms-retry-after-ms": str(milliseconds), "x-ms-substatus": "3200"})


async def test_a_throttled_request_is_made_again_after_the_wait_that_the_service_asked_for(
    store: CosmosState, service: RecordedCosmos
) -> None:
    service.answers = [throttled(3), throttled(3), Answer(201)]
    assert await store.create_run(a_run()) is True
    assert len(service.asked) == 3


async def test_a_service_that_goes_on_throttling_is_unavailable_for_as_long_as_it_says(
    store: CosmosState, service: RecordedCosmos
) -> None:
    service.answers = [throttled(7)]
    with pytest.raises(StoreUnavailable, match="429") as refused:
        await store.create_run(a_run())
    assert refused.value.retry_after == timedelta(milliseconds=7)
    assert len(service.asked) == 6


@pytest.mark.parametrize("status", [408, 449, 500, 503])
async def test_a_write_whose_outcome_is_unknown_is_not_repeated_behind_the_callers_back(
    store: CosmosState, service: RecordedCosmos, status: int
) -> None:
    service.answers = [Answer(status)]
    with pytest.raises(StoreUnavailable, match=str(status)):
        await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))
    assert len(service.asked) == 1


async def test_a_record_whose_answer_was_lost_on_the_way_is_found_to_be_there(
    store: CosmosState, service: RecordedCosmos, step: dict[str, Any]
) -> None:
    kept = step

    def keep(asked: Any) -> Answer:
        kept["events"].append(asked.body["operations"][-2]["value"])
        kept["status"] = "succeeded"
        return Answer(drop=True)

    # The client itself tries again when a connection breaks off.
    service.answers = [keep, Answer(412), Answer(200, kept)]
    await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))
    assert len(service.asked) == 3


async def test_a_claim_whose_answer_was_lost_on_the_way_is_the_askers_all_the_same(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any], step: dict[str, Any]
) -> None:
    service.answers = [Answer(200, run), Answer(drop=True), Answer(409), Answer(200, step)]
    decision = await store.claim_step(a_claim())
    assert isinstance(decision, Claimed)
    assert decision.step.owner == "first"


async def test_a_dropped_connection_is_unavailable(store: CosmosState, service: RecordedCosmos) -> None:
    service.answers = [Answer(drop=True)]
    with pytest.raises(StoreUnavailable):
        await store.create_run(a_run())


async def test_a_service_that_is_not_there_is_unavailable_and_is_found_once_it_is(tmp_path: Path) -> None:
    async with recorded_cosmos() as gone:
        endpoint = gone.endpoint
    store = CosmosState(CosmosConnection(endpoint, "muster", "runs", key=KEY), FileArtifacts(tmp_path))
    with pytest.raises(StoreUnavailable):
        await store.read_run("run-1")
    await store.close()


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (Answer(401), ConfigurationError, "401"),
        (Answer(403, headers={"x-ms-substatus": "5300"}), ConfigurationError, "403"),
        (Answer(404, headers={"x-ms-substatus": "1003"}), ConfigurationError, "no container runs of database muster"),
        (Answer(413), DocumentTooLarge, "larger"),
        (Answer(400), StateCorrupted, "refused"),
    ],
)
async def test_what_no_other_try_can_mend_is_a_clear_error_that_shows_no_secret(
    store: CosmosState, service: RecordedCosmos, answer: Answer, error: type[MusterError], told: str
) -> None:
    service.answers = [answer]
    with pytest.raises(error, match=told) as refused:
        await store.create_run(a_run())
    assert KEY not in str(refused.value)
    assert len(service.asked) == 1


async def test_a_claim_that_another_takes_first_by_its_etag_is_seen_and_left_to_it(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any], step: dict[str, Any]
) -> None:
    taken = apply_to_step("run-1", None, _claim_event("second", 500))
    packed = {"kind": "step_claimed", "at": "x", "data": _claim_event("second", 500).model_dump_json()}
    theirs = {**step_item(taken, [packed]), "_etag": '"theirs"'}
    # The run; the step is there already; it is read, its lease is over; the patch comes too late; it is read again.
    service.answers = [Answer(200, run), Answer(409), Answer(200, step), Answer(412), Answer(200, theirs)]
    decision = await store.claim_step(a_claim(owner="third", at=500))
    assert decision == Busy(after(500) + LEASE)
    assert service.asked[3].headers["If-Match"] == '"step"'


def _claim_event(owner: str, at: float) -> StepClaimed:
    return StepClaimed(
        at=after(at),
        step_id="research",
        agent="research",
        attempt=2,
        owner=owner,
        lease_until=after(at) + LEASE,
        enqueued_at=after(-1),
    )


async def test_a_run_that_a_read_does_not_see_yet_is_asked_for_by_a_write_before_its_step_is_given_up(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any]
) -> None:
    service.answers = [Answer(404), Answer(200, run), Answer(201)]
    assert isinstance(await store.claim_step(a_claim()), Claimed)
    assert [asked.method for asked in service.asked] == ["GET", "PATCH", "POST"]


async def test_a_document_that_changes_under_every_try_is_unavailable_in_the_end(
    store: CosmosState, service: RecordedCosmos, step: dict[str, Any]
) -> None:
    answers = [Answer(412), Answer(200, step)]
    service.answers = [*(answers * 8), Answer(500)]
    with pytest.raises(StoreUnavailable, match="changed under every try"):
        await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))


async def test_every_charge_is_counted_and_written_down_with_the_next_change_of_the_run(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any], step: dict[str, Any]
) -> None:
    service.answers = [
        Answer(200, run, charge=1.05),
        Answer(201, charge=6.29),
        Answer(200, step, charge=7.5),
        Answer(429, charge=0.38, headers={"x-ms-retry-after-ms": "1"}),
        Answer(200, run, charge=8.25),
    ]
    await store.claim_step(a_claim())
    await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))
    await store.advance_run("run-1", RunStatus.RUNNING, now=after(2))
    reported = [
        operation["value"]
        for asked in service.asked
        if asked.method == "PATCH"
        for operation in asked.body["operations"]
        if operation["path"] == "/request_units"
    ]
    assert reported == [7.34, 7.5, 7.5], "claimed 1.05 + 6.29; recorded 7.5, and told twice as the first was throttled"
    assert store.charges.request_units["read"] == pytest.approx(1.05)
    assert store.charges.request_units["patch"] == pytest.approx(7.5 + 8.25)
    assert store.charges.unreported("run-1") == pytest.approx(8.25)


async def test_documents_of_a_run_that_is_over_are_given_their_time_to_live_and_no_others(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any], step: dict[str, Any]
) -> None:
    service.answers = [Answer(201), Answer(200, run), Answer(200, step), Answer(200, run)]
    await store.create_run(a_run())
    await store.advance_run("run-1", RunStatus.RUNNING, now=after(1))
    await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(2))
    await store.advance_run("run-1", RunStatus.COMPLETED, now=after(3), result=a_run_result())
    created, running, recorded, over = [json.dumps(asked.body) for asked in service.asked]
    assert "ttl" not in created + running
    assert '"path": "/ttl", "value": 864000' in over
    assert f'"path": "/ttl", "value": {864000 + 30 * 86400}' in recorded, "a step outlives its run"


async def test_a_process_reads_what_it_wrote_by_the_token_of_its_session(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any]
) -> None:
    told = {"x-ms-session-token": "0:-1#9", "x-ms-alt-content-path": "dbs/muster/colls/runs"}
    created = {**run, "_self": "dbs/AAAAAA==/colls/AAAAAAAAAAA=/docs/AAAAAAAAAAEAAAAAAAAAAA==/"}
    service.answers = [Answer(201, created, headers=told), Answer(200, run)]
    await store.create_run(a_run())
    await store.advance_run("run-1", RunStatus.PENDING, now=after(1))
    read = service.asked[-1]
    assert (read.method, read.headers["x-ms-consistency-level"]) == ("GET", "Session")
    assert read.headers["x-ms-session-token"] == "0:-1#9"


# -- lists, which the service leaves the client to put together ---------------------------------------------------


async def test_a_list_is_put_together_by_the_plan_of_the_service_and_shows_its_order(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any]
) -> None:
    lines = [{**run, "task_id": f"run-{n}", "sort_key": f"2026-01-0{n}", "id": f"run.run-{n}"} for n in (3, 2, 1)]

    def answer(asked: Asked) -> Answer:
        if asked.headers.get("x-ms-cosmos-is-query-plan-request") == "True":
            return Answer(200, _plan(asked.body["query"]))
        if "orderByItems" in asked.body["query"]:
            rows = [
                {"_rid": line["id"], "orderByItems": [{"item": line["sort_key"]}], "payload": line} for line in lines
            ]
            return Answer(200, {"Documents": rows, "_count": 3}, charge=4.5)
        # A gateway does not order over partitions: the client has to ask how it is done.
        return Answer(400, headers={"x-ms-substatus": "1004"})

    service.answers = [answer]
    page = await store.list_runs(RunFilter(status=RunStatus.PENDING), limit=2)
    assert [line.task_id for line in page.runs] == ["run-3", "run-2"]
    assert page.continuation is not None
    assert store.charges.request_units["query"] >= 4.5


def _plan(query: str) -> dict[str, Any]:
    rewritten = (
        'SELECT c._rid, [{"item": c.sort_key}] AS orderByItems, c AS payload FROM c WHERE c.kind = "run"'
        " AND ({documentdb-formattableorderbyquery-filter}) ORDER BY c.sort_key DESC"
    )
    return {
        "partitionedQueryExecutionInfoVersion": 2,
        "queryInfo": {
            "distinctType": "None",
            "top": 3,
            "offset": None,
            "limit": None,
            "orderBy": ["Descending"],
            "orderByExpressions": ["c.sort_key"],
            "groupByExpressions": [],
            "groupByAliases": [],
            "aggregates": [],
            "groupByAliasToAggregateType": {},
            "rewrittenQuery": rewritten,
            "hasSelectValue": False,
            "hasNonStreamingOrderBy": False,
        },
        "queryRanges": [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}],
    }


# -- the transactional batch, which the server from npm carries out piece by piece -------------------------------


def _log() -> EventLog:
    return EventLog(
        task_id="run-1",
        events=(
            NumberedEvent(sequence=1, event=RunCreated(at=after(0), run=a_run())),
            NumberedEvent(sequence=2, event=_claim_event("first", 1)),
        ),
    )


async def test_an_import_is_one_atomic_batch_with_the_runs_own_document_last(
    store: CosmosState, service: RecordedCosmos
) -> None:
    created = [{"statusCode": 201, "requestCharge": 6.0, "eTag": "x"} for _ in range(3)]
    service.answers = [Answer(404), Answer(200, created, charge=18.0)]
    assert await store.import_run(_log()) is True
    batch = service.asked[1]
    assert batch.headers["x-ms-cosmos-is-batch-request"] == "True"
    assert batch.headers["x-ms-cosmos-batch-atomic"] == "True"
    assert [operation["resourceBody"]["kind"] for operation in batch.body] == ["step", "log", "run"]
    assert store.charges.request_units["batch"] == 18.0


async def test_of_a_batch_that_meets_a_document_nothing_is_written_and_the_cause_is_told(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any]
) -> None:
    conflict = [{"statusCode": 424}, {"statusCode": 424}, {"statusCode": 409}]
    service.answers = [Answer(404), Answer(207, conflict), Answer(200, run)]
    assert await store.import_run(_log()) is False
    service.answers = [Answer(404), Answer(207, conflict), Answer(404)]
    with pytest.raises(StateCorrupted, match="purge it first"):
        await store.import_run(_log())


# -- documents that are not as they should be --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema_version": 0}, "schema version 0; this app reads 1"),
        ({"schema_version": 7}, "schema version 7"),
        ({"status": "completed"}, "its status is 'completed', and its events say 'pending'"),
        ({"task_id": "other"}, "task_id"),
        ({"events": []}, "no events"),
        ({"events": "gone"}, "no events"),
        ({"events": [{"kind": "run_created", "at": "x"}]}, "neither data nor a reference"),
        ({"events": [{"kind": "x", "at": "x", "data": "{"}]}, "JSON"),
        ({"events": [{"kind": "x", "at": "x", "data": '{"kind": "run_exploded"}'}]}, "run_exploded"),
        ({"events": ["text"]}, "neither data nor a reference"),
        ({"events": [None]}, "neither data nor a reference"),
    ],
)
async def test_a_document_that_was_changed_by_hand_or_by_another_version_is_named_with_what_is_wrong(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    service.answers = [Answer(200, {**run, **change})]
    with pytest.raises(StateCorrupted, match=told) as found:
        await store.claim_step(a_claim())
    assert "run.run-1" in str(found.value)


async def test_a_document_whose_large_value_is_lost_is_named(
    store: CosmosState, service: RecordedCosmos, tmp_path: Path
) -> None:
    big = a_run(input={"topic": "x" * 100_000})
    event = await EventBodies(FileArtifacts(tmp_path)).packed("run-1", RunCreated(at=after(0), run=big))
    service.answers = [Answer(200, run_item(big, [event]))]
    assert isinstance(event["ref"], dict)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(StateCorrupted, match="artifact of an event is lost"):
        await store.claim_step(a_claim())


async def test_a_log_that_numbers_what_no_document_has_is_said_to_be_damaged(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any]
) -> None:
    numbers = {"id": "log.run-1", "task_id": "run-1", "kind": "log", "schema_version": 1}
    numbers |= {"created_at": run["created_at"], "order": ["#0", "gone#0"]}
    service.answers = [Answer(200, {"Documents": [run, numbers], "_count": 2})]
    with pytest.raises(StateCorrupted, match="numbers events that no document has"):
        await store.read_log("run-1")
    service.answers = [Answer(200, {"Documents": [run, {**numbers, "order": ["#0", "#0"]}], "_count": 2})]
    with pytest.raises(StateCorrupted, match="two numbers"):
        await store.read_log("run-1")


async def test_what_is_left_of_an_earlier_run_of_an_id_is_not_taken_for_the_new_ones(
    store: CosmosState, service: RecordedCosmos, run: dict[str, Any], step: dict[str, Any], tmp_path: Path
) -> None:
    later = a_run(created_at=after(100 * 86400), updated_at=after(100 * 86400))
    created = RunCreated(at=later.created_at, run=later)
    new = run_item(later, [await EventBodies(FileArtifacts(tmp_path)).packed("run-1", created)])
    numbers = log_item(run, ["#0", "research#0"], RETENTION) | {"_etag": '"log"'}
    service.answers = [Answer(200, {"Documents": [new, step, numbers], "_count": 3})]
    record = await store.read_run("run-1")
    assert record is not None
    assert record.steps == ()
    service.answers.append(Answer(200, numbers))
    log = await store.read_log("run-1")
    assert log is not None
    assert [numbered.event for numbered in log.events] == [created]
    service.answers = [Answer(200, new), Answer(409), Answer(200, step), Answer(204), Answer(201)]
    assert isinstance(await store.claim_step(a_claim(owner="new", at=100 * 86400)), Claimed)
    removal, creation = service.asked[-2:]
    assert (removal.method, removal.headers["If-Match"], creation.method) == ("DELETE", '"step"', "POST")


async def test_a_line_that_was_changed_by_hand_names_its_document(store: CosmosState, service: RecordedCosmos) -> None:
    line = {"id": "run.run-1", "task_id": "run-1", "sort_key": "x", "agents": None, "status": "dancing"}
    service.answers = [Answer(200, {"Documents": [line], "_count": 1})]
    with pytest.raises(StateCorrupted, match=r"run\.run-1"):
        await store.list_runs(RunFilter(), limit=5)


async def test_a_claim_on_a_document_that_is_gone_is_lost(store: CosmosState, service: RecordedCosmos) -> None:
    service.answers = [Answer(404)]
    with pytest.raises(ClaimLost):
        await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))
