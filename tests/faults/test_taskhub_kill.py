"""What the task hub has on disk survives kill -9 at any moment: orchestrations end right, and nothing is done twice."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest

LONGEST_LIFE_SECONDS = 0.25


class Lives:
    """The process that forks the hub's lives. What they log is in `log`."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self.log = log

    @classmethod
    @asynccontextmanager
    async def of(cls, folder: Path) -> AsyncIterator[Self]:
        """The process, ended at the end."""
        log = folder / "log"
        command = (sys.executable, "-m", "tests.support.hub_lives", str(folder))
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=file)
        try:
            yield cls(process, log)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()

    async def begin(self, how: str) -> int:
        """Fork a life; the number of its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{how}\n".encode())
        return await self.told()

    async def told(self) -> int:
        """The next number: after a process's own comes the status it ended with."""
        assert self._process.stdout is not None
        return int(await self._process.stdout.readline())


async def kill_after(lives: Lives, seconds: float) -> None:
    """Let the hub live that long from its fork on, start-up included, and kill it."""
    child = await lives.begin("live")
    await asyncio.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    assert await lives.told() == -9, lives.log.read_text()[-10_000:]


def run_again(journal: str) -> list[str]:
    """Activities that began although their result was on disk, or their orchestration was seen to have ended."""
    done: set[str] = set()
    again = []
    for line in journal.splitlines():
        what, name = line.split(" ", 1)
        if what in "KF":
            done.add(name)
        elif what == "B" and (name in done or name.split("/")[0] in done):
            again.append(name)
    return again


async def test_kills_at_random_moments_lose_nothing_and_repeat_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kills = int(request.config.getoption("--taskhub-kills"))
    seed = request.config.getoption("--taskhub-kill-seed")
    seed = random.randrange(2**32) if seed is None else int(seed)
    print(f"--taskhub-kills={kills} --taskhub-kill-seed={seed}")  # noqa: T201 - to repeat it with
    draw = random.Random(seed)
    async with Lives.of(tmp_path) as lives:
        for _ in range(kills):
            await kill_after(lives, draw.uniform(0, LONGEST_LIFE_SECONDS))
        await lives.begin("finish")
        assert await lives.told() == 0, lives.log.read_text()[-10_000:]
    assert run_again((tmp_path / "journal").read_text()) == []
