"""DBOS with SQLite. It runs in an environment of its own."""

import asyncio
import json
import sys
from pathlib import Path

import pysqlite3  # type: ignore[import-not-found]

# DBOS needs SQLite 3.42 and takes Python's own, which may be older.
sys.modules["sqlite3"] = pysqlite3

from dbos import DBOS  # type: ignore[import-not-found]  # noqa: E402

from bench.workloads import ANSWER, measure, nap  # noqa: E402


async def _step(_: int) -> str:
    return ANSWER


async def _sleep(number: int) -> str:
    await asyncio.sleep(nap(number))
    return ANSWER


step, sleep = DBOS.step(name="step")(_step), DBOS.step(name="sleep")(_sleep)


async def _chain(steps: int) -> None:
    for number in range(steps):
        await step(number)


async def _fan(width: int) -> None:
    await asyncio.gather(*(step(number) for number in range(width)))


async def _naps(width: int) -> None:
    await asyncio.gather(*(sleep(number) for number in range(width)))


WORKFLOWS = {each.__name__: DBOS.workflow(name=each.__name__)(each) for each in (_chain, _fan, _naps)}


class _Workflows:
    async def chain(self, steps: int) -> None:
        await self._run("_chain", steps)

    async def fan(self, width: int) -> None:
        await self._run("_fan", width)

    async def naps(self, width: int) -> None:
        await self._run("_naps", width)

    async def _run(self, name: str, size: int) -> None:
        handle = await DBOS.start_workflow_async(WORKFLOWS[name], size)
        await handle.get_result()


async def main(folder: Path) -> None:
    url = f"sqlite:///{folder / 'dbos.sqlite'}"
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    print(json.dumps(await measure(_Workflows())))
    DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
