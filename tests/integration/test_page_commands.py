"""The commands on the pages, as a person types them one after the other, and what the pages say that they print.

`tests/unit/test_pages.py` holds every command on every page to be run here, by another test, or to be said why not.
"""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from tests.support.chat_model import ChatModel, chat_model
from tests.support.eventually import eventually
from tests.support.muster_host import MusterHost, muster_host
from tests.support.page_commands import Here, page_commands, place_of
from tests.support.pages import PAGES, ROOT, Command, fences, programs_of
from tests.support.shell import Said, Shell, agrees

LONGEST_SECONDS: Final = 120.0
ADDRESS: Final = "http://127.0.0.1:7071"
OPERATIONS: Final = "docs/operations.md"
BY_PAGE: Final[Mapping[str, list[Command]]] = {
    name: [each for each in page_commands(name) if isinstance(place_of(each), Here)]
    for name in (page.relative_to(ROOT).as_posix() for page in PAGES)
}
CALLS_A_HOST: Final = frozenset({"muster", "curl"})
WITH_A_HOST: Final = [
    name
    for name, found in BY_PAGE.items()
    if name != OPERATIONS and any(CALLS_A_HOST & set(programs_of(each.text)) for each in found)
]
IN_REPOSITORY: Final = [
    command for name, found in BY_PAGE.items() if name not in (OPERATIONS, *WITH_A_HOST) for command in found
]
PATH: Final = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


class OpenedByHand(ChatModel):
    """A model that answers until it is told to hold whoever asks next."""

    hold = False

    def say(self, asked: dict[str, Any]) -> str:
        """The answer; after it the model is closed when it was to be."""
        if self.hold:
            self.open.clear()
        return super().say(asked)


@dataclass(frozen=True, slots=True)
class Ground:
    """A running host, its model, and the shell of the person who looks after it."""

    host: MusterHost
    model: OpenedByHand
    shell: Shell

    async def say(self, command: Command) -> Said:
        """Type a command of a page, at this host's address."""
        return await self.shell.run(command.text.replace(ADDRESS, self.host.process.url))


async def a_run_that_is_stuck(ground: Ground) -> None:
    """Its research is done and can be undone, and the writer's model takes its time."""
    ground.model.hold = True
    agents = [{"agent": "research", "undo": "editor"}, "writer", "editor"]
    request = {"request": "A trip", "compensate": "always", "agents": agents}
    status, body, _ = await ground.host.post("/api/workflows/sequential", json.dumps(request).encode())
    assert status == 202, body
    task_id = body["task_id"]
    await eventually(lambda: len(ground.model.requests) == 2)
    await ground.shell.run(f"TASK={task_id}")


async def a_dead_letter(ground: Ground) -> None:
    """The publisher refuses an input without text, which no further attempt would mend."""
    ground.model.hold = False
    ground.model.open.set()
    task = {"task_id": "night-1", "step_id": "p", "agent": "publisher", "input": {"request": {}}}
    message = ServiceBusMessage(json.dumps(task), message_id="night-1:p:1")
    async with (
        ServiceBusClient.from_connection_string(ground.host.connection_string) as client,
        client.get_queue_sender("publisher-tasks") as sender,
    ):
        await sender.send_messages(message)

    async def listed() -> bool:
        return bool((await ground.host.get("/api/dead-letters"))[1]["dead_letters"])

    await eventually(listed, within=20)


BEFORE: Final[Mapping[str, Callable[[Ground], Awaitable[None]]]] = {
    "A run is stuck": a_run_that_is_stuck,
    "Dead letters grow": a_dead_letter,
}
"""What has happened when a person comes to a section of `docs/operations.md`."""


@asynccontextmanager
async def on_a_host(folder: Path) -> AsyncIterator[Ground]:
    """A ground whose host keeps its files where the page looks for them."""
    model = OpenedByHand()
    async with chat_model(model), muster_host(folder, model_url=model.url) as host:
        (folder / ".devhost").symlink_to(folder / "host")
        async with Shell(folder, {"PATH": PATH, "HOME": str(folder)}) as shell:
            yield Ground(host, model, shell)


@pytest.mark.parametrize("page", WITH_A_HOST)
async def test_a_pages_calls_of_a_running_host_are_answered(tmp_path: Path, page: str) -> None:
    async with (
        muster_host(tmp_path, model_url="") as host,
        Shell(tmp_path, {"PATH": PATH, "HOME": str(tmp_path)}) as shell,
    ):
        # An answer that says no is a failure, as it is to who reads it.
        (tmp_path / ".curlrc").write_text("fail-with-body\n")
        for command in BY_PAGE[page]:
            check(command, await shell.run(command.text.replace(ADDRESS, host.process.url)))


async def test_an_operators_commands_do_what_the_page_says(tmp_path: Path) -> None:
    visited = set[str]()
    async with on_a_host(tmp_path) as ground:
        for command in BY_PAGE[OPERATIONS]:
            if command.section not in visited and command.section in BEFORE:
                await BEFORE[command.section](ground)
            visited.add(command.section)
            check(command, await ground.say(command))
    assert visited >= set(BEFORE)


@pytest.mark.parametrize("command", IN_REPOSITORY, ids=str)
async def test_a_command_of_the_repository_succeeds(command: Command) -> None:
    assert re.match(r"make |python -m ", command.text), f"{command}: give its page a ground of its own"
    async with Shell(ROOT, {"PATH": PATH, "HOME": os.environ["HOME"]}) as shell:
        # The environment is there, since this test runs in it.
        check(command, await shell.run(command.text.replace("make ", "make -o .venv/.ready ")))


def check(command: Command, said: Said) -> None:
    """Whether a command went well, and printed what its page shows below it."""
    assert said.status == 0, f"{command}\n{said.printed}"
    assert not re.search(r'"type": "urn:muster:problem|Traceback', said.printed), f"{command}\n{said.printed}"
    if command.printed is not None:
        assert agrees(command.printed, said.printed), f"{command}\nshows:\n{command.printed}\nprinted:\n{said.printed}"


async def test_the_test_of_an_app_on_the_page_of_the_local_host_passes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "localhost.md").read_text(encoding="utf-8")
    [program] = [fence.text for fence in fences(page) if fence.language == "python"]
    app = shutil.copytree(ROOT / "tests" / "integration" / "apps" / "approvals", tmp_path / "app")
    (app / "page_test.py").write_text(program, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "page_test.py"),
        cwd=app,
        env={"PYTHONPATH": str(ROOT), "PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LONGEST_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    assert b"1 passed" in output
