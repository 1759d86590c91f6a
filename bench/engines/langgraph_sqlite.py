"""LangGraph's functional API with its SQLite checkpointer. It runs in an environment of its own."""

import asyncio
import itertools
import json
import sys
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # type: ignore[import-not-found]
from langgraph.func import entrypoint, task  # type: ignore[import-not-found]

from bench.workloads import ANSWER, measure, nap


async def _step(_: int) -> str:
    return ANSWER


async def _sleep(number: int) -> str:
    await asyncio.sleep(nap(number))
    return ANSWER


step, sleep = task(_step), task(_sleep)


async def _run(asked: list[Any]) -> int:
    kind, size = asked
    if kind == "chain":
        for number in range(size):
            await step(number)
    else:
        await asyncio.gather(*(step(number) if kind == "fan" else sleep(number) for number in range(size)))
    return int(size)


class _Graph:
    def __init__(self, saver: Any) -> None:
        self._graph = entrypoint(checkpointer=saver)(_run)
        self._numbers = itertools.count()

    async def chain(self, steps: int) -> None:
        await self._go("chain", steps)

    async def fan(self, width: int) -> None:
        await self._go("fan", width)

    async def naps(self, width: int) -> None:
        await self._go("naps", width)

    async def _go(self, kind: str, size: int) -> None:
        config = {"configurable": {"thread_id": str(next(self._numbers))}, "max_concurrency": 1000}
        await self._graph.ainvoke([kind, size], config, durability="sync")


async def main(folder: Path) -> None:
    async with AsyncSqliteSaver.from_conn_string(str(folder / "langgraph.sqlite")) as saver:
        print(json.dumps(await measure(_Graph(saver))))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
