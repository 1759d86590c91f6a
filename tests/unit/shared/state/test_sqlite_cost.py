"""What a list costs in SQLite grows with its page and not with the store: counted in the steps of its machine."""

from pathlib import Path

from shared.state.listing import RunFilter
from shared.state.sqlite import SqliteState
from shared.status import RunStatus
from tests.support.documents import a_run, after

SMALL, LARGE, PAGE = 60, 600, 10


async def filled(path: Path, size: int) -> SqliteState:
    store = SqliteState(path)
    for number in range(size):
        topic = f"sea salt number{number}" if number % 2 else "mountain air"
        steps = ("web", "news") if number % 3 else ("web",)
        kind = "parallel" if number % 2 else "sequential"
        run = a_run(f"run-{number:04}", input={"topic": topic}, steps=steps, type=kind, created_at=after(number))
        await store.create_run(run)
        if number % 2:
            await store.advance_run(run.task_id, RunStatus.RUNNING, now=after(9999))
    return store


async def machine_steps(store: SqliteState, asked: RunFilter) -> int:
    """How many instructions SQLite's machine takes for a page that follows another one."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    first = await store.list_runs(asked, limit=PAGE)
    assert first.continuation is not None
    await store._reading(lambda db: db.set_progress_handler(count, 1))
    page = await store.list_runs(asked, limit=PAGE, continuation=first.continuation)
    await store._reading(lambda db: db.set_progress_handler(None, 1))
    assert len(page.runs) == PAGE
    return taken


async def test_a_page_costs_the_same_in_a_store_ten_times_as_large(tmp_path: Path) -> None:
    small, large = await filled(tmp_path / "small.db", SMALL), await filled(tmp_path / "large.db", LARGE)
    for conditions in (
        {},
        {"status": "running"},
        {"type": "parallel"},
        {"agent": "news"},
        {"text": "sea"},
        {"text": "sea", "status": "running"},
        {"before": after(50)},
    ):
        asked = RunFilter.model_validate(conditions)
        before, after_growth = await machine_steps(small, asked), await machine_steps(large, asked)
        assert after_growth < 1.5 * before, f"{conditions}: from {before} to {after_growth}"
    await small.close()
    await large.close()
