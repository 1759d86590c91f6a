"""Durable orchestrations: the local host's task hub, by replay and sticky, beside other engines on the same machine."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.replay import own_replay_seconds
from bench.table import print_table
from bench.workloads import ALONE, CHAIN, CROWD, LONG, NAPPING
from scripts.local_host import ROOT, local_host

APP: Final = ROOT / "bench" / "apps" / "hub_app"
CACHE: Final = ROOT / ".cache" / "bench"
HEADINGS: Final = (
    "",
    f"chain of {CHAIN}, alone, p50 of {ALONE}",
    f"{CROWD} chains at once",
    "fan-out 10 / 100 / 1,000",
    f"chain of {LONG}",
    f"{NAPPING:,} steps of 0-1 s sleep",
    "CPU per step",
    "peak RSS",
)

type Figures = Mapping[str, float]


async def measure() -> None:
    """Print the table; each engine runs alone in a process of its own."""
    engines: dict[str, Callable[[], Any]] = {
        "this task hub, replay": lambda: _host([]),
        "this task hub, sticky": lambda: _host(["--sticky"]),
        "durabletask in-memory, not durable": lambda: _program("durabletask_memory", Path(sys.executable)),
        f"LangGraph {_pinned('langgraph')}, SQLite": lambda: _program("langgraph_sqlite", _environment("langgraph")),
        f"DBOS {_pinned('dbos')}, SQLite": lambda: _program("dbos_sqlite", _environment("dbos")),
    }
    _environment("langgraph")
    _environment("dbos")
    rows = [_row(name, await run()) for name, run in engines.items()]
    print_table("Durable steps that do nothing and return 100 bytes", HEADINGS, rows)
    print(f"The SDK's own time to replay a chain of {LONG}, turn by turn: {own_replay_seconds(LONG):.2f} s\n")


async def _host(arguments: list[str]) -> Figures:
    """On the local host, timed by the app itself through its durable client."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        arguments = ["--app", str(APP), *arguments]
        async with (
            local_host(log=work / "host.log", state_dir=work / "state", settings={}, arguments=arguments) as host,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as session,
            session.post(f"{host.url}/api/measure") as answer,
        ):
            answer.raise_for_status()
            figures: Figures = await answer.json()
    return figures


async def _program(module: str, python: Path) -> Figures:
    """In a program that prints its figures as JSON in its last line."""
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            str(python), "-m", f"bench.engines.{module}", folder, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"bench.engines.{module} ended with status {process.returncode}")
    figures: Figures = json.loads(output.splitlines()[-1])
    return figures


def _environment(name: str) -> Path:
    """The interpreter of the environment for an engine, which is made when its requirements have changed."""
    wanted = _requirements(name).read_text()
    folder = CACHE / name
    mark = folder / "requirements.txt"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = ["-m", "pip", "install", "-qq", "--disable-pip-version-check", "--require-hashes", "-r"]
        subprocess.run([str(folder / "bin" / "python"), *install, str(_requirements(name))], check=True)
        mark.write_text(wanted)
    return folder / "bin" / "python"


def _requirements(name: str) -> Path:
    return ROOT / "bench" / f"requirements-{name}.txt"


def _pinned(name: str) -> str:
    found = re.search(rf"^{name}==(\S+)", _requirements(name).read_text(), re.MULTILINE)
    return found.group(1) if found else "?"


def _row(name: str, figures: Figures) -> list[str]:
    return [
        name,
        f"{figures['chain_ms']:.1f} ms",
        f"{figures['crowd_steps_s']:,.0f} steps/s",
        f"{figures['fan_10_ms']:.1f} / {figures['fan_100_ms']:.0f} / {figures['fan_1000_ms']:,.0f} ms",
        f"{figures['long_s']:.2f} s",
        f"{figures['naps_s']:.2f} s" if "naps_s" in figures else "-",
        f"{figures['cpu_ms_step']:.2f} ms",
        f"{figures['peak_mib']:.0f} MiB",
    ]
