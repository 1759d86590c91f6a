"""The architecture's rules, proved on the source itself: who imports whom, what is pure, how large things may grow.

The checks are in `tests/support/architecture.py`; `tests/unit/support` shows that each of them can fail.
"""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scripts.topology import TOPOLOGY_FILE, rendered
from shared.settings import Settings
from tests.support import architecture as check
from tests.support.architecture import Module
from tests.support.leaks import leaks, tracked_files

ROOT = Path(__file__).parent.parent
APP = ("function_app", "composition", "agents", "orchestrations", "shared")
SOURCE = (*APP, "devhost", "scripts", "bench")
EVERYTHING = (*SOURCE, "tests")

MAY_IMPORT = {
    "function_app": {"composition", "shared"},
    "composition": {"agents", "orchestrations", "shared"},
    "agents": {"agents", "shared"},
    "orchestrations": {"orchestrations", "shared"},
    "shared": {"shared"},
    "devhost": {"devhost"},
    "scripts": set(EVERYTHING) - {"tests", "bench"},
    "bench": set(EVERYTHING),
    "tests": set(EVERYTHING),
}
"""Which rooms may import which of these rooms. Only tests, bench and scripts may import the local host."""

HEAVY = ("openai", "azure.servicebus", "azure.identity", "azure.core", "azure.cosmos", "azure.storage.blob")
# What imports OpenTelemetry's SDK, for which the same holds.
TRACED = ("devhost.telemetry.otlp", "shared.telemetry.otel", "azure.monitor.opentelemetry")
PATTERNS = (
    "orchestrations.sequential",
    "orchestrations.parallel",
    "orchestrations.hierarchical",
    "orchestrations.planning",
    "orchestrations.event_driven",
    "orchestrations.reactions",
    "orchestrations.steps",
    "orchestrations.fan_out",
    "orchestrations.branches",
    "orchestrations.frame",
)
MODULE_LINES, FUNCTION_LINES, NESTING = 500, 60, 4
AIMED_MODULE_LINES, AIMED_FUNCTION_LINES = 300, 40


@cache
def room(name: str) -> list[Module]:
    return check.load(ROOT, [name])


def modules(*rooms: str) -> list[Module]:
    return [module for name in rooms for module in room(name)]


def crowded(rooms: tuple[str, ...]) -> str:
    """How many things are within the limit and over what is aimed at: said when a limit is broken."""
    long, wordy = (
        check.long_modules(modules(*rooms), AIMED_MODULE_LINES),
        check.long_functions(modules(*rooms), AIMED_FUNCTION_LINES),
    )
    return (
        f"{len(long)} modules have over {AIMED_MODULE_LINES} lines: {long}\n"
        f"{len(wordy)} functions have over {AIMED_FUNCTION_LINES} lines: {wordy}"
    )


# -- who imports whom -------------------------------------------------------------------------------------------


def test_imports_between_the_rooms_run_one_way() -> None:
    assert check.wrong_directions(modules(*EVERYTHING), MAY_IMPORT) == []


def test_every_folder_with_python_in_it_is_a_room_with_a_rule() -> None:
    tops = {path.relative_to(ROOT).parts[0] for path in tracked_files(ROOT) if path.suffix == ".py"}
    assert {top.removesuffix(".py") for top in tops} <= set(EVERYTHING)


def test_there_are_no_import_cycles() -> None:
    assert check.cycles(check.graph(modules(*EVERYTHING))) == []


@pytest.mark.parametrize(
    "package", ["azure.cosmos", "azure.servicebus", "azure.storage.blob", "azure.identity", "openai"]
)
def test_an_outside_sdk_is_imported_by_one_module_of_the_app_at_most(package: str) -> None:
    assert len(check.importers(modules(*APP), package)) <= 1, check.importers(modules(*APP), package)


@pytest.mark.parametrize("package", ["opentelemetry", "azure.monitor"])
def test_telemetry_is_imported_by_one_package_of_the_app(package: str) -> None:
    importers = check.importers(modules(*APP), package)
    assert importers
    assert [name for name in importers if not check.is_within(name, ["shared.telemetry.otel"])] == []


@pytest.mark.parametrize("rooms", [APP, ("devhost",)], ids=["app", "devhost"])
def test_the_environment_is_read_by_exactly_one_module(rooms: tuple[str, ...]) -> None:
    assert len(check.environment_readers(modules(*rooms))) == 1, check.environment_readers(modules(*rooms))


def test_imports_stand_at_the_top_except_those_of_heavy_packages() -> None:
    assert check.imports_in_functions(modules(*SOURCE), (*HEAVY, *TRACED)) == []


def test_importing_the_app_with_telemetry_off_imports_only_what_the_durable_sdk_needs_of_it() -> None:
    """The Durable SDK imports OpenTelemetry's API for its own propagation; the SDK and exporters cost a cold start."""
    program = (
        "import sys, azure.durable_functions, azure.functions, pydantic, grpc\n"
        "def traced(): return {name for name in sys.modules if name.partition('.')[0] == 'opentelemetry'}\n"
        "before = traced()\n"
        "import function_app\n"
        "print(sorted(traced() - before), [each for each in sys.modules if 'azure.monitor' in each or '.otel' in each])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[] []", done.stderr


def test_importing_the_app_imports_no_heavy_package() -> None:
    heavy = ["openai", "azure.cosmos", "azure.identity", "azure.servicebus", "azure.storage.blob", "aiohttp"]
    program = f"import sys, function_app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


# -- what is replayed is pure -----------------------------------------------------------------------------------


def test_the_patterns_and_their_shared_steps_are_recognised_as_such() -> None:
    found = {module.name for module in modules("orchestrations") if check.is_pattern(module)}
    assert found >= set(PATTERNS)


def test_code_that_is_replayed_touches_no_clock_chance_environment_network_or_store() -> None:
    """Neither the patterns themselves, nor anything of the app that they import, at whatever remove."""
    app = {module.name: module for module in modules(*APP)}
    edges = check.graph(app.values())
    patterns = [name for name, module in app.items() if module.room == "orchestrations" and check.is_pattern(module)]
    replayed = set().union(*(check.reachable(edges, name) for name in patterns))
    assert [violation for name in sorted(replayed) for violation in check.impurities(app[name])] == []


# -- sizes and docstrings ---------------------------------------------------------------------------------------


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    assert check.long_modules(modules(*EVERYTHING), MODULE_LINES) == [], crowded(SOURCE)


def test_no_function_is_longer_than_a_screen() -> None:
    assert check.long_functions(modules(*EVERYTHING), FUNCTION_LINES) == [], crowded(SOURCE)


def test_no_function_is_nested_deeper_than_four_blocks() -> None:
    assert check.deep_functions(modules(*EVERYTHING), NESTING) == []


def test_whatever_is_public_says_what_it_is() -> None:
    assert check.undocumented(modules(*APP, "devhost", "scripts")) == []


# -- the repository's other files -------------------------------------------------------------------------------


def test_no_tracked_file_names_a_machine_path_a_registry_or_a_secret() -> None:
    found = []
    for path in tracked_files(ROOT):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {leak}" for leak in leaks(text)]
    assert found == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_locked_package_has_its_version_and_hashes_and_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    locked = re.compile(r"[A-Za-z0-9._-]+(\[[^\]]+\])?==\S+( ; [^-]+)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert lines
    assert [line[:80] for line in lines if not locked.fullmatch(line)] == []


def test_what_is_deployed_is_locked_to_the_versions_that_are_tested() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[A-Za-z0-9._-]+(?:\[[^\]]+\])?==[^\s;]+", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.txt") - pins("requirements-dev.txt") == set()


def test_the_topology_file_is_the_one_computed_from_the_catalog() -> None:
    assert TOPOLOGY_FILE.read_text(encoding="utf-8") == rendered(), "run `make topology`"


def settable() -> dict[str, str]:
    """The settings that a person sets: each one's name and description."""
    return {
        str(field.alias): str(field.description)
        for field in Settings.model_fields.values()
        if not str(field.description).startswith("Set by the platform")
    }


def test_the_sample_of_local_settings_names_every_setting() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))
    assert set(sample["Values"]) == set(settable())


def test_the_sample_of_local_settings_is_a_valid_one_and_says_the_defaults() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
    read, default = Settings.read(sample), Settings()
    assert read == default.model_copy(update={"service_bus": sample["ServiceBusConnection"]})


def test_the_settings_page_describes_every_setting_in_the_same_words() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| ([^|]*) \| ([^|]+) \|$", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE
    )
    described = {str(field.alias): str(field.description) for field in Settings.model_fields.values()}
    assert {name: text for name, _, text in rows} == described


def test_the_settings_page_says_the_defaults() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| ([^|]*) \| [^|]+ \|$", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE
    )
    defaults = {str(field.alias): str(field.default) for field in Settings.model_fields.values()}
    assert {name: shown.strip("`") for name, shown in rows} == defaults


@pytest.mark.parametrize(("name", "defined"), [("function_app.py", []), ("composition.py", ["compose"])])
def test_the_composition_root_does_nothing_but_compose(name: str, defined: list[str]) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)] == defined
    assert len(text.splitlines()) <= 60
