"""How a measurement is printed: a table, and what it was made on."""

import os
import platform
import sqlite3
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("azure-functions", "azure-functions-durable", "durabletask", "azure-servicebus", "pydantic", "openai")


def print_machine(command: str) -> None:
    """Print the machine, the versions and the command that made the tables."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"command   {command}")
    print(
        f"machine   {os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.release()}"
    )
    print(f"versions  Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, {versions}\n")


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print one table as Markdown, so that it can be pasted where it is wanted."""
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    print(f"### {title}\n")
    print(_line(headings, widths))
    print(_line(["-" * width for width in widths], widths))
    for row in rows:
        print(_line(row, widths))
    print(flush=True)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
