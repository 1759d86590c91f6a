"""What a deployment uploads and what Azure installs beside it: sizes, and what importing the app costs there."""

import re
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.cold_start import CASES, print_imports
from bench.table import print_table
from scripts.local_host import ROOT
from scripts.package import install, pack

BIGGEST = 12
TELEMETRY = frozenset({"azure-monitor-opentelemetry", "opentelemetry-exporter-otlp-proto-http"})
"""The requirements that are there for telemetry; whatever comes with them and nothing else is counted as theirs."""
IMPORTS = {
    **CASES,
    "function_app, and then the telemetry that it leaves out": "import function_app, azure.monitor.opentelemetry",
}


def measure() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        pack(ROOT, work / "app.zip")
        _print_upload(work / "app.zip")
        with zipfile.ZipFile(work / "app.zip") as packed:
            packed.extractall(work / "app")
        python = install(work / "app" / "requirements.txt", work / "environment")
        _print_packages(work / "environment")
        print_imports("Cold import of what is deployed", IMPORTS, python=python, folder=work / "app")


def _print_upload(archive: Path) -> None:
    files, whole, packed = Counter[str](), Counter[str](), Counter[str]()
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            for part in (entry.filename.partition("/")[0], "all"):
                files[part] += 1
                whole[part] += entry.file_size
                packed[part] += entry.compress_size
    rows = [
        [part, str(files[part]), _kb(whole[part]), _kb(packed[part])]
        for part, _ in packed.most_common()
        if part != "all"
    ]
    rows.append(["the zip", str(files["all"]), "", _kb(archive.stat().st_size)])
    print_table("What is uploaded", ["part", "files", "size", "in the zip"], rows)


def _print_packages(environment: Path) -> None:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    found: dict[str, Distribution] = {
        canonicalize_name(each.name): each
        for each in distributions(path=[str(environment / "lib" / version / "site-packages")])
    }
    sizes = Counter[str]({name: _size(each) for name, each in found.items()})
    wanted = _wanted((ROOT / "requirements.in").read_text(encoding="utf-8"))
    rest = [each for each in wanted if canonicalize_name(each.name) not in TELEMETRY]
    telemetry = _reached(wanted, found) - _reached(rest, found)
    rows = [[name, found[name].version, _mb(size)] for name, size in sizes.most_common(BIGGEST)]
    others = [name for name, _ in sizes.most_common()[BIGGEST:]]
    rows.append([f"{len(others)} others", "", _mb(sum(sizes[name] for name in others))])
    rows.append([f"all {len(sizes)}", "", _mb(sizes.total())])
    rows.append([f"of these for telemetry only: {len(telemetry)}", "", _mb(sum(sizes[name] for name in telemetry))])
    print_table("What is installed, before anything is compiled", ["package", "version", "size"], rows)
    named = sorted((name for name in telemetry if sizes[name] > 2**20 / 10), key=lambda name: -sizes[name])
    print("The biggest for telemetry only: " + ", ".join(f"{name} {_mb(sizes[name])}" for name in named) + "\n")


def _wanted(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if re.match(r"\w", line)]


def _reached(asked: Iterable[Requirement], found: Mapping[str, Distribution]) -> set[str]:
    """The packages that are asked for, and all that these ask for on this machine."""
    reached, waiting = set[tuple[str, str]](), list(asked)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if name in found and (name, extra) not in reached:
                reached.add((name, extra))
                waiting += _asked(found[name], extra)
    return {name for name, _ in reached}


def _asked(distribution: Distribution, extra: str) -> Iterator[Requirement]:
    for requirement in map(Requirement, distribution.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _size(distribution: Distribution) -> int:
    files = (Path(str(distribution.locate_file(file))) for file in distribution.files or ())
    return sum(file.stat().st_size for file in files if file.is_file())


def _kb(size: int) -> str:
    return f"{size / 1024:.0f} KiB"


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
