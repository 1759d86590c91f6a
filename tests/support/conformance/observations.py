"""What was seen of each program on each hub, made when it is first asked for and then kept."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from durabletask.client import AsyncTaskHubGrpcClient

from tests.support.conformance.catalog import FUNCTIONS, Program
from tests.support.conformance.observation import observe
from tests.support.conformance.reference import reference
from tests.support.conformance.run import Run
from tests.support.conformance.under_test import hub_under_test

# The reference answers its calls with ten threads, and a call that waits holds one of them.
AT_ONCE = 6


class Observations:
    """The programs that may share a hub run on one reference, several at a time. Each has its own hub under test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[tuple[str, str], asyncio.Task[list[str]]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._shared: asyncio.Task[AsyncTaskHubGrpcClient] | None = None
        self._ending = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._seen.values(), return_exceptions=True)
        await self._ending.aclose()

    def begin(self, programs: Iterable[Program]) -> None:
        """Let the reference run these in the background."""
        for program in programs:
            self._once("reference", program, lambda program=program: self._on_reference(program))  # type: ignore[misc]

    async def reference(self, program: Program) -> list[str]:
        """What was seen on durabletask's in-memory backend."""
        return await self._once("reference", program, lambda: self._on_reference(program))

    async def hub(self, way: str, program: Program) -> list[str]:
        """What was seen on the hub under test, its turns run that way."""
        return await self._once(way, program, lambda: self._on_hub(way, program))

    def _once(
        self, where: str, program: Program, see: Callable[[], Coroutine[Any, Any, list[str]]]
    ) -> asyncio.Task[list[str]]:
        key = (where, program.name)
        if key not in self._seen:
            self._seen[key] = asyncio.create_task(see(), name=f"{program.name} on {where}")
        return self._seen[key]

    async def _on_reference(self, program: Program) -> list[str]:
        async with self._slots:
            if program.alone:
                async with reference(FUNCTIONS, program.versioning) as client:
                    return await _driven(program, client)
            if self._shared is None:
                self._shared = asyncio.create_task(self._ending.enter_async_context(reference(FUNCTIONS)))
            return await _driven(program, await self._shared)

    async def _on_hub(self, way: str, program: Program) -> list[str]:
        folder = self._folder / way / program.name
        folder.mkdir(parents=True)
        async with hub_under_test(way, FUNCTIONS, program.versioning, folder) as client:
            return await _driven(program, client)


async def _driven(program: Program, client: AsyncTaskHubGrpcClient) -> list[str]:
    run = Run(program.name, client)
    await program.drive(run)
    return await observe(run, program.order)
