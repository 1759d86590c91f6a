"""`make demo`: one article through the content pipeline on the local host, with its progress, text and timeline."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
from rich import box
from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from scripts.cosmos_server import state_settings
from scripts.local_host import ROOT, HostFailed, ensure_settings, local_host
from scripts.node_packages import NodeUnavailable
from scripts.run_api import CallRefused, RunApi

TOPIC = "Why cities at night are getting brighter, and what that does to the animals that live there"
DATA_DIR = Path(".muster")
STATE_DIR = Path(".devhost")
OFFLINE_MODEL = "offline-model"
MARKS = {"pending": ("·", "dim"), "running": ("▸", "cyan"), "waiting": ("↻", "yellow"), "succeeded": ("✓", "green")}

console = Console(highlight=False)


class RunFailed(Exception):
    """The run ended without its article. The text is its cause in one line."""


def main() -> int:
    """Run the demo; 0 when the article is there, 1 with the cause in one line when not."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--topic", default=TOPIC, help="what the article is about")
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR, help="runs and articles (default: %(default)s)")
    parser.add_argument("--state-dir", type=Path, default=STATE_DIR, help="the host's state (default: %(default)s)")
    parser.add_argument("--state", choices=("sqlite", "cosmos"), help="where runs are kept (default: as configured)")
    chosen = parser.parse_args()
    try:
        asyncio.run(demo(chosen.topic, ROOT / chosen.data_dir, ROOT / chosen.state_dir, chosen.state))
    except (HostFailed, CallRefused, RunFailed, NodeUnavailable, aiohttp.ClientError, OSError) as error:
        print(f"make demo failed: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


async def demo(topic: str, data_dir: Path, state_dir: Path, state: str | None = None) -> None:
    """Start the host, ask for an article on `topic`, and show everything about it."""
    ensure_settings()
    log = state_dir / "demo.log"
    console.print("Starting the local host ...", style="dim")
    async with (
        state_settings(state) as kept,
        local_host(log=log, state_dir=state_dir, settings={"MUSTER_DATA_DIR": str(data_dir), **kept}) as host,
        RunApi(host) as api,
    ):
        console.print(f"It is up at {host.url}, and its log is {short(host.log)}.", style="dim", soft_wrap=True)
        console.print(f"\nTopic: {topic}\n")
        task_id = await api.create_content(topic)
        task = await _watched(api, task_id)
    _show_article(task)
    show_timeline(task)
    _show_where(task, data_dir, state_dir, forgotten="CosmosConnection" in kept)


async def _watched(api: RunApi, task_id: str) -> dict[str, Any]:
    task: dict[str, Any] = {}
    if console.is_terminal:
        with Live(console=console, refresh_per_second=12) as live:
            async for task in api.watch(task_id):
                live.update(_progress(task))
    else:
        seen: dict[str, str] = {}
        async for task in api.watch(task_id):
            for step in task["steps"]:
                if step["status"] not in ("pending", seen.get(step["name"])):
                    seen[step["name"]] = step["status"]
                    console.print(f"  {step['name']}: {step['status']}")
    if task["status"] != "completed":
        cause = (task["error"] or {}).get("message", "no cause was recorded")
        raise RunFailed(f"the run {task_id} is {task['status']}: {cause}")
    return task


def _progress(task: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for step in task["steps"]:
        mark, style = MARKS.get(step["status"], ("✗", "red"))
        took = f"{step['run_seconds']:.2f} s" if step["run_seconds"] is not None else ""
        table.add_row(Text(f"  {mark}", style), Text(step["name"], style), Text(step["status"], style), took)
    return table


def _show_article(task: dict[str, Any]) -> None:
    published = task["result"]
    article = next(step["result"] for step in task["steps"] if step["name"] == "editor")
    console.print()
    console.print(Panel(Markdown(article), title=f"{published['word_count']} words", title_align="left"))
    if any(step["usage"]["model"] == OFFLINE_MODEL for step in task["steps"]):
        console.print(
            "No language model was called: this text is from the local host's offline model.\n"
            "For real articles set MUSTER_MODEL_API_KEY, or MUSTER_MODEL_BASE_URL.",
            style="yellow",
        )


def show_timeline(task: dict[str, Any]) -> None:
    """One row for each step: how long it waited and ran, and what it used."""
    table = Table(
        title="Timeline, with tokens in and out", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )
    for heading in ("step", "status", "queued", "ran", "in", "out", "cost"):
        table.add_column(heading, justify="left" if heading in ("step", "status") else "right", no_wrap=True)
    for step in task["steps"]:
        usage = step["usage"]
        called = usage["model"] is not None
        table.add_row(
            step["name"],
            step["status"],
            _milliseconds(step["queue_seconds"]),
            _milliseconds(step["run_seconds"]),
            str(usage["input_tokens"]) if called else "-",
            str(usage["output_tokens"]) if called else "-",
            _cost(usage["cost_usd"]) if called else "-",
        )
    console.print()
    console.print(table)


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"


def _cost(cost: float | None) -> str:
    return "unknown" if cost is None else f"${cost:.4f}"


def _show_where(task: dict[str, Any], data_dir: Path, state_dir: Path, *, forgotten: bool) -> None:
    key = f'$(cat "{short(state_dir)}/keys/default")'
    console.print()
    console.print(f"Article   {task['result']['location']}", soft_wrap=True)
    runs = "articles" if forgotten else "runs, articles"
    console.print(f"State     {short(data_dir)}/ {runs}; {short(state_dir)}/ queues, keys, log", soft_wrap=True)
    console.print(f"Run       {task['id']}")
    if forgotten:
        console.print("          kept by a Cosmos DB server in memory, which has ended with this demo", soft_wrap=True)
        return
    console.print(f"Further   make run, then open http://127.0.0.1:7071/api/task/{task['id']}", soft_wrap=True)
    console.print(f"          with the header x-functions-key: {key}", soft_wrap=True)


def short(path: Path) -> str:
    """A path as one types it from here, where that is shorter."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


if __name__ == "__main__":
    sys.exit(main())
