"""Where the commands of a page are typed: a shell, and beside it a running host."""

import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.support.muster_host import MusterHost, muster_host
from tests.support.page_commands import Here, page_commands, place_of
from tests.support.pages import PAGES, ROOT, Command
from tests.support.shell import Said, Shell, agrees

LONGEST_SECONDS: Final = 240.0
ADDRESS: Final = "http://127.0.0.1:7071"
PATH: Final = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
RUN_HERE: Final = [
    command
    for page in PAGES
    for command in page_commands(page.relative_to(ROOT).as_posix())
    if isinstance(place_of(command), Here)
]
IN_REPOSITORY: Final = list({each.text: each for each in RUN_HERE if re.match(r"make |python -m ", each.text)}.values())
"""The commands that are run where the repository's files are, each once."""
BY_PAGE: Final[Mapping[str, list[Command]]] = {
    name: [each for each in RUN_HERE if each.page == name and not re.match(r"make |python -m ", each.text)]
    for name in dict.fromkeys(each.page for each in RUN_HERE)
}
"""The others, in the order of their page: they are typed into a shell that the page has for itself."""
# This machine may be busier than the reader's: a pause here lasts at least until what it is for has happened.
PATIENT: Final = r"""
none() { muster "$MUSTER/tasks?status=$1" | grep -q '"tasks": \[\]'; }
sleep() {
    command sleep "$1"
    if [ "$1" = 1 ]; then until circuit agent.academic | grep -qv "'open'"; do command sleep 0.1; done
    else until none pending && none running; do command sleep 0.2; done; fi
}
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """A running host with its own offline model, and the shell of the person who looks after it."""

    host: MusterHost
    shell: Shell

    async def faults(self, *rules: Mapping[str, Any]) -> None:
        """Have the model misbehave by these rules."""
        async with (
            aiohttp.ClientSession() as session,
            session.put(f"{self.host.process.url}/v1/faults", json={"rules": rules}) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def say(self, command: Command) -> None:
        """Type a command of a page, at this host's address. Fails unless it does what the page says."""
        text = command.text.replace(ADDRESS, self.host.process.url)
        check(command, await self.shell.run(text, within=LONGEST_SECONDS))


@asynccontextmanager
async def on_a_host(folder: Path) -> AsyncIterator[Ground]:
    """A ground whose host keeps its files where a page looks for them."""
    async with muster_host(folder, model_url="") as host:
        (folder / ".devhost").symlink_to(folder / "host")
        (folder / ".muster").symlink_to(folder / "data")
        # An answer that says no is a failure, as it is to who reads it.
        (folder / ".curlrc").write_text("fail-with-body\n", encoding="ascii")
        async with Shell(folder, {"PATH": PATH, "HOME": str(folder)}) as shell:
            yield Ground(host, shell)


def check(command: Command, said: Said) -> None:
    """Whether a command went well, and printed what its page shows below it."""
    assert said.status == 0, f"{command}\n{said.printed}"
    assert not re.search(r'"type": "urn:muster:problem|Traceback', said.printed), f"{command}\n{said.printed}"
    if command.printed is not None:
        assert agrees(command.printed, said.printed), f"{command}\nshows:\n{command.printed}\nprinted:\n{said.printed}"
