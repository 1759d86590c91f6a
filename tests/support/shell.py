"""A shell that a test types commands into, one after the other, and what it says to each."""

import asyncio
import itertools
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ANSWER_SECONDS: Final = 60.0

# The beginning of one, too, for a page may cut what it shows.
_TIME: Final = r"\d{4}-\d\d-(\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?)?|\b\d\d:\d\d:\d\d(\.\d+)?\b"
_ID: Final = r"\b[0-9a-f]{32}\b"
_PLACE: Final = r'(?<=-tasks:)\d+|(?<="size": )\d+'
_FRACTION: Final = r"\b\d+\.\d+\b"


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, errors included, and its exit status."""

    printed: str
    status: int


class Shell:
    """One `bash` in `folder`, with exactly this environment. Use it within `async with`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = itertools.count()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *("bash", "--norc", "--noprofile", "-o", "pipefail"),
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 24,
            # What it has started ends with it.
            start_new_session=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.communicate()

    async def run(self, text: str, *, within: float = ANSWER_SECONDS) -> Said:
        """Type `text` and wait for what it prints. Raises `TimeoutError`."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("a shell is used within `async with`")
        mark = f"--- said {next(self._numbers)}: "
        # A command must not read what is typed after it.
        process.stdin.write(f"{{\n{text}\n}} </dev/null\nprintf '\\n%s%s\\n' '{mark}' $?\n".encode())
        await process.stdin.drain()
        async with asyncio.timeout(within):
            before = await process.stdout.readuntil(mark.encode())
            status = await process.stdout.readline()
        return Said(before.decode().removesuffix(mark).strip(), int(status))


def agrees(shown: str, printed: str) -> bool:
    """Whether `printed` is what a page shows, but for times, ids of 32 digits, fractions, places in queues, sizes and
    the breaking of lines.

    `...` on the page stands for anything.
    """
    pattern = ".*".join(re.escape(_masked(part)) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, _masked(printed.strip()), re.DOTALL) is not None


def _masked(text: str) -> str:
    for what, name in ((_TIME, "TIME"), (_ID, "ID"), (_FRACTION, "FRACTION"), (_PLACE, "NUMBER")):
        text = re.sub(what, name, text)
    return re.sub(r"\s+", " ", text)
