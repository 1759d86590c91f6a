"""What a state store guarantees of lists: the newest first, every run once, whatever begins while somebody reads."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts import AgentAccount, Outcome, RunResult
from shared.errors import InvalidRequest
from shared.state.documents import RunDocument
from shared.state.listing import RunFilter, RunSummary, summary_of
from shared.state.store import StateStore
from shared.status import RunStatus
from tests.support.documents import NOW, a_run, a_run_result, after

EVERYTHING = RunFilter()


def asked(**conditions: object) -> RunFilter:
    return RunFilter.model_validate(conditions)


def created(task_id: str, seconds: float = 0, topic: str = "tides", **changes: Any) -> RunDocument:
    return a_run(task_id, input={"topic": topic}, created_at=after(seconds), updated_at=after(seconds), **changes)


async def ids(store: StateStore, conditions: RunFilter = EVERYTHING, limit: int = 50) -> list[str]:
    return [run.task_id for run in (await store.list_runs(conditions, limit=limit)).runs]


async def all_pages(store: StateStore, conditions: RunFilter, limit: int) -> list[list[str]]:
    pages, token = [], None
    while True:
        page = await store.list_runs(conditions, limit=limit, continuation=token)
        pages.append([run.task_id for run in page.runs])
        token = page.continuation
        if token is None:
            return pages


async def test_an_empty_store_lists_nothing_and_counts_noughts(store: StateStore) -> None:
    page = await store.list_runs(EVERYTHING, limit=10)
    assert (page.runs, page.continuation) == ((), None)
    assert dict(await store.count_runs(EVERYTHING)) == dict.fromkeys(RunStatus, 0)


async def test_the_newest_run_comes_first_whatever_the_order_in_which_they_were_stored(store: StateStore) -> None:
    for task_id, seconds in (("middle", 5), ("oldest", 1), ("newest", 9), ("before-the-epoch", -2e9)):
        await store.create_run(created(task_id, seconds))
    assert await ids(store) == ["newest", "middle", "oldest", "before-the-epoch"]


async def test_a_line_shows_the_run_as_it_is_now(store: StateStore) -> None:
    run = created("run-1", topic="Why the sea is salt")
    await store.create_run(run)
    assert (await store.list_runs(EVERYTHING, limit=1)).runs == (summary_of(run),)
    moved = await store.advance_run("run-1", RunStatus.COMPLETED, now=after(60), result=a_run_result())
    line = (await store.list_runs(EVERYTHING, limit=1)).runs[0]
    assert line == summary_of(moved)
    assert line == RunSummary(
        task_id="run-1",
        type="sequential",
        workflow="content",
        status=RunStatus.COMPLETED,
        topic="Why the sea is salt",
        agents=("research", "writer"),
        created_at=NOW,
        updated_at=after(60),
        completed_at=after(60),
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_together_hold_every_run_once_in_order(store: StateStore, limit: int) -> None:
    # Several of one moment, as of a crowd that starts together.
    for number in range(7):
        await store.create_run(created(f"run-{number}", number // 3))
    pages = await all_pages(store, EVERYTHING, limit)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    flat = list(itertools.chain(*pages))
    assert sorted(flat) == [f"run-{number}" for number in range(7)]
    assert flat == await ids(store)


async def test_a_page_that_is_just_full_is_the_last_when_nothing_follows(store: StateStore) -> None:
    for number in range(4):
        await store.create_run(created(f"run-{number}", number))
    assert [len(page) for page in await all_pages(store, EVERYTHING, 2)] == [2, 2]


async def test_runs_that_begin_or_change_while_somebody_reads_shift_nothing(store: StateStore) -> None:
    for number in range(6):
        await store.create_run(created(f"old-{number}", number))
    first = await store.list_runs(EVERYTHING, limit=3)
    await store.create_run(created("new", 100))
    await store.advance_run("old-2", RunStatus.RUNNING, now=after(200))
    second = await store.list_runs(EVERYTHING, limit=3, continuation=first.continuation)
    assert [run.task_id for run in (*first.runs, *second.runs)] == [f"old-{number}" for number in (5, 4, 3, 2, 1, 0)]


async def test_a_page_follows_although_the_run_before_it_was_purged(store: StateStore) -> None:
    for number in range(4):
        await store.create_run(created(f"run-{number}", number))
    first = await store.list_runs(EVERYTHING, limit=2)
    await store.purge_run("run-2")
    second = await store.list_runs(EVERYTHING, limit=2, continuation=first.continuation)
    assert [run.task_id for run in second.runs] == ["run-1", "run-0"]


@pytest.mark.parametrize("token", ["", "x", "ünïcode", "%", "AAAA", "eyJ4IjoxfQ", "a" * 500, "MDAwMDAwMDAxMjM"])
async def test_what_is_no_token_of_this_list_is_refused(store: StateStore, token: str) -> None:
    with pytest.raises(InvalidRequest, match="continuation") as refused:
        await store.list_runs(EVERYTHING, limit=2, continuation=token)
    assert refused.value.field == "continuation"


async def test_a_token_is_refused_under_other_conditions(store: StateStore) -> None:
    for number in range(3):
        await store.create_run(created(f"run-{number}", number))
    token = (await store.list_runs(EVERYTHING, limit=1)).continuation
    with pytest.raises(InvalidRequest, match="other conditions"):
        await store.list_runs(asked(status="pending"), limit=1, continuation=token)


async def test_runs_are_found_by_status_as_it_is_now(store: StateStore) -> None:
    for number, status in enumerate((None, RunStatus.RUNNING, RunStatus.FAILED, RunStatus.RUNNING)):
        await store.create_run(created(f"run-{number}", number))
        if status is not None:
            await store.advance_run(f"run-{number}", status, now=after(50))
    assert await ids(store, asked(status="running")) == ["run-3", "run-1"]
    assert await ids(store, asked(status="pending")) == ["run-0"]
    assert await ids(store, asked(status="cancelled")) == []


async def test_runs_are_found_by_type(store: StateStore) -> None:
    await store.create_run(created("one", 1, type="parallel"))
    await store.create_run(created("two", 2, type="sequential"))
    assert await ids(store, asked(type="parallel")) == ["one"]
    assert await ids(store, asked(type="para")) == []


async def test_runs_are_found_by_an_agent_of_their_plan(store: StateStore) -> None:
    await store.create_run(created("one", 1, steps=("web", "news")))
    await store.create_run(created("two", 2, steps=("web",)))
    assert await ids(store, asked(agent="web")) == ["two", "one"]
    assert await ids(store, asked(agent="news")) == ["one"]
    assert await ids(store, asked(agent="new")) == []


async def test_a_run_that_asked_more_agents_than_it_planned_is_found_by_them_once_it_is_over(store: StateStore) -> None:
    await store.create_run(created("run-1", steps=("web",)))
    account = (AgentAccount(step_id="a", agent="archiver", outcome=Outcome.ANSWERED),)
    result = RunResult(status=RunStatus.COMPLETED, account=account)
    await store.advance_run("run-1", RunStatus.COMPLETED, now=after(5), result=result)
    assert await ids(store, asked(agent="archiver")) == ["run-1"]
    assert (await store.list_runs(EVERYTHING, limit=1)).runs[0].agents == ("archiver", "web")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("salt", True),
        ("SALT", True),
        ("sal", True),
        ("sea salt", True),
        ("salt sea", True),
        ("alt", False),
        ("salt pepper", False),
        ("größen", True),
        ("GRÖSSEN", True),
        ("strasse", True),
        ("groessen", False),
        ("世界", True),
        ("it's", True),
        ("100%", True),
        ("100_", True),
        ("'; drop table runs; --", False),
        ('"sea" OR', False),
        ("sea*", True),
        ("-sea", True),
        ("NEAR(sea salt)", False),
    ],
)
async def test_text_finds_topics_in_which_each_of_its_words_begins_a_word(
    store: StateStore, text: str, found: bool
) -> None:
    await store.create_run(created("run-1", topic="Why the Sea is salt: größen, Straße_100, 世界; it's _odd_"))
    await store.create_run(created("run-2", topic="nothing of the kind"))
    assert ("run-1" in await ids(store, asked(text=text))) is found
    assert "run-2" not in await ids(store, asked(text=text))


@pytest.mark.parametrize("text", ["", "  ", "%", '"', "_", "🌊"])
async def test_text_without_a_word_is_refused(store: StateStore, text: str) -> None:
    for call in (store.list_runs(asked(text=text), limit=5), store.count_runs(asked(text=text))):
        with pytest.raises(InvalidRequest, match="letter or a digit"):
            await call


async def test_a_time_span_includes_its_beginning_and_not_its_end(store: StateStore) -> None:
    for number in range(4):
        await store.create_run(created(f"run-{number}", number))
    assert await ids(store, asked(since=after(1), before=after(3))) == ["run-2", "run-1"]
    assert await ids(store, asked(since=after(3.000001))) == []
    assert await ids(store, asked(before=after(0))) == []
    zoned = after(1).astimezone(tz=None) + timedelta(0)
    assert await ids(store, asked(since=zoned)) == ["run-3", "run-2", "run-1"]


async def test_conditions_together_are_all_fulfilled_and_page_the_same(store: StateStore) -> None:
    for number in range(12):
        await store.create_run(
            created(
                f"run-{number:02}",
                number,
                topic="sea salt" if number % 2 else "mountain air",
                type="parallel" if number % 3 else "sequential",
                steps=("web", "news") if number % 4 else ("web",),
            )
        )
        if number % 5 == 0:
            await store.advance_run(f"run-{number:02}", RunStatus.RUNNING, now=after(99))
    conditions = asked(status="pending", type="parallel", agent="news", text="sea", since=after(1), before=after(11))
    assert await ids(store, conditions) == ["run-07", "run-01"]
    assert await all_pages(store, conditions, 1) == [["run-07"], ["run-01"]]
    assert (await store.count_runs(conditions))[RunStatus.PENDING] == 2


async def test_counts_are_by_status_of_the_runs_that_are_meant(store: StateStore) -> None:
    for number in range(5):
        await store.create_run(created(f"run-{number}", number, topic="sea" if number < 3 else "air"))
    await store.advance_run("run-0", RunStatus.COMPLETED, now=after(9), result=a_run_result())
    assert dict(await store.count_runs(EVERYTHING)) == {
        **dict.fromkeys(RunStatus, 0),
        RunStatus.PENDING: 4,
        RunStatus.COMPLETED: 1,
    }
    assert (await store.count_runs(asked(text="sea")))[RunStatus.PENDING] == 2
    assert dict(await store.count_runs(asked(status="completed"))) == {
        **dict.fromkeys(RunStatus, 0),
        RunStatus.COMPLETED: 1,
    }
