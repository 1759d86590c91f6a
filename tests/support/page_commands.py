"""Where each command that a page shows is run: here, by another test, or nowhere, and then why."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from tests.support.pages import ROOT, Command, commands, programs_of, statements


@dataclass(frozen=True, slots=True)
class Here:
    """`tests/integration/test_page_commands.py` runs it: in the shell of its page, or in a copy of the repository."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """It is run by this file of the repository, which says it with the words of `by`."""

    file: str
    by: str


@dataclass(frozen=True, slots=True)
class Cannot:
    """It cannot run where the tests do."""

    reason: str


type Place = Here | Elsewhere | Cannot

_SUBSCRIPTION: Final = Cannot("it needs an Azure subscription")
_MINUTES: Final = Cannot("it measures for minutes; that there is such a measurement is checked")

CANNOT: Final = {
    "azd": _SUBSCRIPTION,
    "az": _SUBSCRIPTION,
    "docker": Cannot("it needs images from a registry"),
    "func": Cannot("Core Tools download their extensions when they start"),
    "gh": Cannot("it needs an account of GitHub"),
    "uv": Cannot("it asks the package registry for what is newest: `make lock`"),
}
"""By program. A statement that calls one of them, and the fence that it is in, cannot run."""

RULES: Final[tuple[tuple[str, Place], ...]] = (
    (r"make (test|verify)", Elsewhere(".ci/run", "make verify")),
    (r"make demo", Elsewhere("tests/integration/test_demo.py", "scripts.demo")),
    (r"make demo PATTERN=\S+", Elsewhere("tests/integration/test_demo.py", "scripts.pattern_demo")),
    (r"make demo STATE=(cosmos|\.\.\.)", Elsewhere("tests/integration/test_demo.py", '"--state", "cosmos"')),
    (r"make run PORT=\d+", Elsewhere("tests/integration/test_run.py", '"--port"')),
    (r"make run", Elsewhere("tests/integration/test_run.py", "scripts.run")),
    (r"make run STATE=(cosmos|\.\.\.)", Elsewhere("tests/integration/test_run.py", '"--state", "cosmos"')),
    (r"make import-run FILE=run\.json", Elsewhere("tests/integration/test_runs_over_http.py", "scripts.import_run")),
    (r"make (infra-check|topology|workbook)|python -m scripts\.package", Here()),
    (r"make cost( \w+=\S+)*", Elsewhere("tests/unit/scripts/cost/test_command.py", "scripts.cost")),
    (
        r"python -m scripts\.cost.*",
        Elsewhere("tests/integration/test_cost_counts.py", '"-m", "scripts.cost"'),
    ),
    (r"make bench(-hub)?|python -m bench \w+", _MINUTES),
    (r"python -m devhost --app PATH.*", Elsewhere("tests/support/host_process.py", '"-m", "devhost", "--app"')),
    (r"python -m tests\.support\.conformance\.differences", Here()),
    (
        r"python -m pytest tests/faults/test_fault_plans\.py --fault-.*",
        Elsewhere("tests/faults/test_fault_plans.py", "`--fault-plans N` carries out more of them"),
    ),
    (r"\.venv/bin/python -m pytest tests/\S+", Elsewhere(".ci/run", "make verify")),
    (r"python -m pytest tests/\S+ --.*", Cannot("it needs an account or an emulator; its options are checked")),
    (
        r"muster .* '\{\"ids\": \[\"\.\.\.\"\].* \"repeat\": true\}\}'",
        Elsewhere("tests/faults/test_agent_calls.py", "repeat=True"),
    ),
    (r"attempts \$TASK", Elsewhere("tests/integration/test_page_demonstrations.py", "See it fail, and mend it")),
    (r"AGAIN=.*resume_from.*", Elsewhere("tests/unit/orchestrations/test_resuming.py", "resume_from")),
    (r"rm -f \.muster/state\.db.*", Cannot("it is for a host that is stopped, and takes its runs away")),
    (r"pip install", Elsewhere("scripts/bootstrap.sh", "pip install")),
)
"""By the whole statement, as a regular expression; the first that fits."""

SHELL: Final = frozenset({"cat", "curl", "done", "echo", "export", "for", "grep", "python", "python3", "sleep"})
"""What the shell of a page is given to call, beside the functions that the page defines."""

PROGRAMS: Final = frozenset(
    {
        *CANNOT,
        *SHELL - {"done", "for"},
        "muster",
        ".venv/bin/python",
        "make",
        "pip",
        "git",
        "npm",
        "npx",
        "node",
        "cp",
        "cd",
        "sh",
        "bash",
    }
)
"""A span that begins with one of these is a command."""


def page_commands(page: str) -> list[Command]:
    """The commands of one page, by its path in the repository."""
    return commands(page, (ROOT / page).read_text(encoding="utf-8"), PROGRAMS)


def place_of(command: Command) -> Place | None:
    """Where a command is run; None for one that nobody has thought of. Of several statements the first that cannot."""
    callable_here = SHELL | functions_of(command.page)
    places = [_place(statement, callable_here) for statement in statements(command.text)]
    if command.usage and Here() in places:
        return None
    if None in places:
        cannot = [place for place in places if isinstance(place, Cannot)]
        return cannot[0] if cannot and _all_known(command) else None
    return next((place for place in places if not isinstance(place, Here)), Here())


@cache
def functions_of(page: str) -> frozenset[str]:
    """The functions that the commands of a page define."""
    shown = page_commands(page) if (ROOT / page).is_file() else []
    return frozenset(name for each in shown for name in re.findall(r"^(\w+)\(\) \{", each.text, re.MULTILINE))


def _place(statement: str, callable_here: frozenset[str]) -> Place | None:
    programs = programs_of(statement)
    for program in programs:
        if program in CANNOT:
            return CANNOT[program]
    plain = " ".join(_uncommented(statement).split())
    for rule, place in RULES:
        if re.fullmatch(rule, plain):
            return place
    return Here() if programs and set(programs) <= callable_here else None


def _all_known(command: Command) -> bool:
    return all(set(programs_of(each)) <= PROGRAMS for each in statements(command.text))


def _uncommented(statement: str) -> str:
    return re.sub(r"\s+#.*$", "", statement)
