"""What importing the app costs in a fresh process, beside its two unavoidable parts imported alone."""

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.table import print_table

ROUNDS = 7
CASES = {
    "an empty process": "pass",
    "azure.durable_functions and pydantic": "import azure.durable_functions, pydantic",
    # pydantic loads most of itself when the first model is defined, which every app that uses it does.
    "the same, with one pydantic model": (
        "import azure.durable_functions, pydantic\nclass Model(pydantic.BaseModel): number: int"
    ),
    "function_app": "import function_app",
}
# The kernel's high-water mark begins anew with a program; getrusage's would be that of the process it was forked from.
PROBE = """
import time
start = time.perf_counter()
{work}
took = time.perf_counter() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took * 1000, int(peak.split()[1]) / 1024)
"""
HEAVY = (
    "openai",
    "azure.cosmos",
    "azure.identity",
    "azure.monitor",
    "azure.servicebus",
    "opentelemetry.sdk",
    "aiohttp",
)


def measure() -> None:
    """Print the table."""
    print_imports("Cold import", CASES)


def print_imports(
    title: str, cases: Mapping[str, str], *, python: Path = Path(sys.executable), folder: Path | None = None
) -> None:
    """Print what each import costs `python` in `folder`, and which heavy SDKs the app's loads.

    The cases take turns, so that a slow moment of the machine hits all of them.
    """
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for work in cases.values():
        _run(python, work, folder)
    for _ in range(ROUNDS):
        for name, work in cases.items():
            took, memory = _run(python, PROBE.format(work=work), folder).split()
            samples[name].append((float(took), float(memory)))
    rows = []
    for name, found in samples.items():
        times, memories = zip(*found, strict=True)
        rows.append([name, f"{statistics.median(times):.0f} ms", f"{min(times):.0f} ms", f"{max(memories):.0f} MiB"])
    print_table(f"{title}, {ROUNDS} fresh processes each", ["import", "median", "best", "peak memory"], rows)
    loaded = _run(python, f"import function_app, sys; print([m for m in {HEAVY!r} if m in sys.modules])", folder)
    print(f"Heavy SDKs that importing function_app loads: {loaded.strip()}\n")


def _run(python: Path, program: str, folder: Path | None) -> str:
    # A deployed app starts from compiled modules, so compiling them must not be part of the figure.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [str(python), "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=folder).stdout
