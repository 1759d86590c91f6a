"""The app that is uploaded runs with what `requirements.txt` names and nothing else."""

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.package import install, install_into, pack
from tests.support.pages import ROOT

PROGRAM = ROOT / "tests" / "support" / "index_program.py"
PROTOS = ROOT / "devhost" / "worker" / "protos.py"
WORKER = ("azure-functions-runtime", "azurefunctions-extensions-base")
"""What Azure's worker brings beside the app's packages."""
ONLY_IN_DEVELOPMENT = ("azure_functions_runtime", "croniter", "proton", "pytest", "rich", "time_machine")
NOT_YET = {
    "openai",
    "aiohttp",
    "azure.cosmos",
    "azure.identity",
    "azure.monitor",
    "azure.servicebus",
    "opentelemetry.sdk",
}
"""What is loaded when it is asked for the first time, or never."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """The app as it lies in Azure: its files, the Python that has its packages, and the worker's own folder."""

    app: Path
    python: Path
    worker: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python there, with nothing of this process's environment or path."""
        command = [str(self.python), "-I", *arguments]
        return subprocess.run(command, cwd=self.app, env={}, capture_output=True, text=True, timeout=60, check=False)

    def imported(self, modules: Iterator[str]) -> list[str]:
        """Import each module; those that cannot be, with the reason."""
        program = (
            "import importlib, json, sys\nsys.path.insert(0, '.')\nfailed = []\n"
            "for name in json.loads(sys.argv[1]):\n"
            "    try: importlib.import_module(name)\n"
            "    except Exception as error: failed.append(f'{name}: {error!r}')\n"
            "print(json.dumps(failed))"
        )
        done = self.run("-c", program, json.dumps(sorted(set(modules))))
        assert done.returncode == 0, done.stderr
        failed: list[str] = json.loads(done.stdout)
        return failed


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "worker.txt").write_text("".join(locked(name) for name in WORKER))
    install_into(folder / "worker.txt", folder / "worker")
    shutil.copyfile(PROTOS, folder / "worker" / "protos.py")
    pack(ROOT, folder / "app.zip")
    with zipfile.ZipFile(folder / "app.zip") as packed:
        packed.extractall(folder / "app")
    python = install(folder / "app" / "requirements.txt", folder / "environment")
    return Deployed(folder / "app", python, folder / "worker")


def locked(name: str) -> str:
    """A package's lines in the development lock file."""
    text = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==.*?(?=^\w|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[0]


def indexed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def repository_index(worker: Path) -> dict[str, Any]:
    """What the library finds in this repository, with everything that a developer has installed."""
    command = [sys.executable, "-I", str(PROGRAM), str(ROOT), str(worker)]
    return indexed(subprocess.run(command, env={}, capture_output=True, text=True, timeout=60, check=False))


def test_the_worker_finds_every_function_of_the_repository_in_what_is_uploaded(deployed: Deployed) -> None:
    found = indexed(deployed.run(str(PROGRAM), str(deployed.app), str(deployed.worker)))
    assert found["functions"] == repository_index(deployed.worker)["functions"]
    assert len(found["functions"]) > 50
    assert set(found["from_worker"]) <= {"azure_functions_runtime", "azurefunctions", "protos"}, "nothing of the app's"


def test_every_module_and_everything_that_one_imports_later_is_there(deployed: Deployed) -> None:
    assert deployed.imported(modules_of(deployed.app)) == []


def modules_of(app: Path) -> Iterator[str]:
    """The app's modules, and whatever they import anywhere in them."""
    for path in app.rglob("*.py"):
        yield ".".join(path.relative_to(app).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module


def test_what_only_a_developer_has_is_not_there(deployed: Deployed) -> None:
    assert len(deployed.imported(iter(ONLY_IN_DEVELOPMENT))) == len(ONLY_IN_DEVELOPMENT)


def test_an_upload_that_lacks_a_module_is_not_indexed(deployed: Deployed, tmp_path: Path) -> None:
    lacking = shutil.copytree(deployed.app, tmp_path / "app")
    (lacking / "shared" / "names.py").unlink()
    done = deployed.run(str(PROGRAM), str(lacking), str(deployed.worker))
    assert done.returncode == 1
    assert "Error when indexing function" in done.stderr


def test_importing_the_app_loads_no_sdk_that_it_may_never_need(deployed: Deployed) -> None:
    done = deployed.run(
        "-c", f"import sys; sys.path.insert(0, '.'); import function_app; print({NOT_YET} & {{*sys.modules}})"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr
