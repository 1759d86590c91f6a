"""The pages cannot rot: every command that they show is run by a test, or it is said why it cannot be.

Those that run in a shell of their own are run by `tests/integration/test_page_commands.py`.
"""

import json
import re
import shlex
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from bench.__main__ import MEASUREMENTS
from tests.support.page_commands import PROGRAMS, Cannot, Elsewhere, page_commands, place_of
from tests.support.pages import LANGUAGES, PAGES, ROOT, Command, fences, programs_of, statements

NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
PYTHON = {
    "docs/agents.md": "tests/unit/test_agents_page.py",
    "docs/memory.md": "tests/unit/test_memory_page.py",
    "docs/localhost.md": "tests/integration/test_page_commands.py",
}
"""Who runs the programs on a page."""
SHOWN = [command for name in NAMES for command in page_commands(name)]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def statements_of(program: str) -> list[list[str]]:
    """The words of every statement on the pages that calls `program` first."""
    found = [each for command in SHOWN for each in statements(command.text)]
    return [shlex.split(each, comments=True) for each in found if programs_of(each)[:1] == [program]]


@pytest.mark.parametrize("name", NAMES)
def test_every_fence_says_its_language(name: str) -> None:
    found = fences((ROOT / name).read_text(encoding="utf-8"))
    assert [f"{name}:{fence.first}: {fence.info!r}" for fence in found if fence.language not in LANGUAGES] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_command_hides_in_a_fence_that_is_not_run(name: str) -> None:
    found = fences((ROOT / name).read_text(encoding="utf-8"))
    quiet = [(fence.first, line) for fence in found if fence.language == "text" for line in fence.text.splitlines()]
    assert [line for line in quiet if re.match(rf"\$ |({'|'.join(map(re.escape, PROGRAMS))}) ", line[1])] == []


def test_every_command_is_run_somewhere_or_it_is_said_why_it_cannot_be() -> None:
    assert len(SHOWN) > 40
    assert [str(command) for command in SHOWN if place_of(command) is None] == []


def test_a_command_that_nobody_has_thought_of_is_found() -> None:
    assert place_of(Command("p", 1, "", "rm -rf .muster")) is None
    assert place_of(Command("p", 1, "", "make demo\nrm -rf .muster")) is None
    assert place_of(Command("p", 1, "", "make fly")) is None
    assert isinstance(place_of(Command("p", 1, "", "cd infra\ndocker compose up -d")), Cannot)


def test_what_is_said_to_run_a_command_runs_it() -> None:
    places = {place for place in map(place_of, SHOWN) if isinstance(place, Elsewhere)}
    assert [place for place in places if place.by not in (ROOT / place.file).read_text(encoding="utf-8")] == []


def test_every_program_on_a_page_is_run_by_a_test() -> None:
    with_programs = {
        name
        for name in NAMES
        if any(fence.language == "python" for fence in fences((ROOT / name).read_text(encoding="utf-8")))
    }
    assert with_programs == set(PYTHON)
    assert all((ROOT / name).is_file() for name in PYTHON.values())


def test_every_make_target_exists_and_reads_the_variables_that_it_is_given() -> None:
    for words in statements_of("make"):
        variables = [word.partition("=")[0] for word in words if "=" in word]
        assert [name for name in variables if not re.search(rf"\$\$\{{?{name}\b|\$\({name}\)", MAKEFILE)] == [], words
        command = ["make", "-n", "-o", ".venv/.ready", *words[1:]]
        asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (words, asked.returncode, asked.stderr) == (words, 0, "")


def test_every_option_of_a_module_is_in_its_help() -> None:
    called = [words[words.index("-m") + 1 :] for words in statements_of("python") if "-m" in words]
    assert called
    for module, *arguments in called:
        options = {word.strip("[]").partition("=")[0] for word in arguments if word.strip("[]").startswith("--")}
        assert options <= set(re.findall(r"--[\w-]+", help_of(module))), module


def test_every_file_that_a_command_names_exists() -> None:
    words = {word for program in ("python", ".venv/bin/python") for said in statements_of(program) for word in said}
    named = {word for word in words if re.match(r"(tests|scripts|infra|docs)/", word)}
    assert named
    assert [word for word in sorted(named) if not (ROOT / word).exists()] == []


@cache
def help_of(module: str) -> str:
    command = [sys.executable, "-m", module, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_every_variable_that_azd_is_told_is_one_that_the_templates_read_or_write() -> None:
    read = set(re.findall(r"\$\{(\w+)", (ROOT / "infra" / "main.parameters.json").read_text(encoding="utf-8")))
    written = set(
        re.findall(r"^output (\w+)", (ROOT / "infra" / "main.bicep").read_text(encoding="utf-8"), re.MULTILINE)
    )
    told = {name for command in SHOWN for name in re.findall(r"azd env set (?!NAME)(\w+)", command.text)}
    asked = {name for command in SHOWN for name in re.findall(r"azd env get-value (\w+)", command.text)}
    assert told
    assert asked
    assert (told - read, asked - written) == (set(), set())


def test_every_measurement_that_is_named_exists() -> None:
    named = {words[3] for words in statements_of("python") if words[1:3] == ["-m", "bench"]}
    assert named
    assert named <= set(MEASUREMENTS)


@pytest.mark.parametrize("name", NAMES)
def test_every_json_fence_is_json(name: str) -> None:
    for fence in fences((ROOT / name).read_text(encoding="utf-8")):
        if fence.language == "json":
            assert values_in(fence.text), f"{name}:{fence.first}"


def values_in(text: str) -> list[Any]:
    """One JSON value after the other; raises `ValueError` for anything else."""
    values, rest = [], text.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        values.append(value)
        rest = rest[end:].strip()
    return values
