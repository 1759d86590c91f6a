"""What importing the app costs in a fresh process, beside its two unavoidable parts imported alone."""

import os
import statistics
import subprocess
import sys

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
HEAVY = ("openai", "azure.cosmos", "azure.identity", "azure.servicebus", "aiohttp")


def measure() -> None:
    """Print the table. The cases take turns, so that a slow moment of the machine hits all of them."""
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    _python(CASES["function_app"])
    for _ in range(ROUNDS):
        for name, work in CASES.items():
            took, memory = _python(PROBE.format(work=work)).split()
            samples[name].append((float(took), float(memory)))
    rows = []
    for name, found in samples.items():
        times, memories = zip(*found, strict=True)
        rows.append([name, f"{statistics.median(times):.0f} ms", f"{min(times):.0f} ms", f"{max(memories):.0f} MiB"])
    print_table(f"Cold import, {ROUNDS} fresh processes each", ["import", "median", "best", "peak memory"], rows)
    loaded = _python(f"import function_app, sys; print([m for m in {HEAVY!r} if m in sys.modules])")
    print(f"Heavy SDKs that importing function_app loads: {loaded.strip()}\n")


def _python(program: str) -> str:
    # A deployed app starts from compiled modules, so compiling them must not be part of the figure.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
