"""The commands on the pages, as a person types them one after the other, and what the pages say that they print.

`tests/unit/test_pages.py` holds every command on every page to be run here, by another test, or to be said why not.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from tests.support.eventually import eventually
from tests.support.page_ground import BY_PAGE, IN_REPOSITORY, LONGEST_SECONDS, PATH, PATIENT, Ground, check, on_a_host
from tests.support.pages import ROOT, Command, fences
from tests.support.shell import Shell

OPERATIONS: Final = "docs/operations.md"
DEMONSTRATIONS: Final = "See it fail, and mend it"
"""Its last section, which takes minutes: `test_page_demonstrations.py`."""
WITH_A_HOST: Final = [name for name, found in BY_PAGE.items() if found and name != OPERATIONS]


async def begun(ground: Ground, request: Mapping[str, Any]) -> str:
    """The id of a run that was begun, which the shell knows as `TASK`."""
    status, body, _ = await ground.host.post("/api/workflows/sequential", json.dumps(request).encode())
    assert status == 202, body
    await ground.shell.run(f"TASK={body['task_id']}")
    return str(body["task_id"])


async def a_run_that_is_over(ground: Ground) -> None:
    """Its one step waited and ran."""
    await ground.host.finished(await begun(ground, {"request": "Tides", "agents": ["writer"]}))


async def a_run_that_is_stuck(ground: Ground) -> None:
    """Its research is done and can be undone, and the writer's model takes its time."""
    await ground.faults({"system": "You are a writer", "delay": 300})
    agents = [{"agent": "research", "undo": "editor"}, "writer", "editor"]
    task_id = await begun(ground, {"request": "A trip", "compensate": "always", "agents": agents})

    async def writing() -> bool:
        _, task = await ground.host.get(f"/api/task/{task_id}")
        return [step["status"] for step in task["steps"]] == ["succeeded", "running", "pending"]

    await eventually(writing)


async def a_dead_letter(ground: Ground) -> None:
    """The publisher refuses an input without text, which no further attempt would mend."""
    await ground.faults()
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
    "Messages pile up": a_run_that_is_over,
    "A run is stuck": a_run_that_is_stuck,
    "Dead letters grow": a_dead_letter,
}
"""What has happened when a person comes to a section of `docs/operations.md`."""


@pytest.mark.parametrize("page", WITH_A_HOST)
async def test_a_pages_calls_of_a_running_host_are_answered(tmp_path: Path, page: str) -> None:
    async with on_a_host(tmp_path) as ground:
        for command in BY_PAGE[page]:
            await ground.say(command)


async def test_an_operators_commands_do_what_the_page_says(tmp_path: Path) -> None:
    visited = set[str]()
    async with on_a_host(tmp_path) as ground:
        for command in (each for each in BY_PAGE[OPERATIONS] if each.section != DEMONSTRATIONS):
            if command.section not in visited and command.section in BEFORE:
                await BEFORE[command.section](ground)
            visited.add(command.section)
            await ground.say(command)
            await ground.shell.run(PATIENT)
    assert visited >= set(BEFORE)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's files in a folder of their own, for commands that write some of them."""
    folder = tmp_path_factory.mktemp("copy")
    for name in repository_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def repository_files() -> list[str]:
    """What is committed, and what is yet to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


@pytest.mark.parametrize("command", IN_REPOSITORY, ids=str)
async def test_a_command_of_the_repository_succeeds_and_finds_every_file_up_to_date(
    copy: Path, command: Command
) -> None:
    async with Shell(copy, {"PATH": PATH, "HOME": os.environ["HOME"], "PYTHONDONTWRITEBYTECODE": "1"}) as shell:
        # The environment is there, since this test runs in it.
        made = command.text.replace("make ", f"make -o .venv/.ready PY={sys.executable} ")
        check(command, await shell.run(made, within=LONGEST_SECONDS))
    assert [name for name in repository_files() if (copy / name).read_bytes() != (ROOT / name).read_bytes()] == []


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
