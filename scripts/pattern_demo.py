"""`make demo PATTERN=...`: one run of a pattern on the local host, drawn as it goes on.

To add a pattern, add its example below: what it is asked, and how its run is drawn.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import RenderableType
from rich.live import Live

from scripts.cosmos_server import state_settings
from scripts.deliberation_views import conversation, rounds, votes
from scripts.demo import DATA_DIR, OFFLINE_MODEL, STATE_DIR, console, short, show_timeline
from scripts.flow_views import lanes, tree
from scripts.local_host import ROOT, HostFailed, ensure_settings, local_host
from scripts.node_packages import NodeUnavailable
from scripts.run_api import CallRefused, RunApi
from scripts.team_views import causes, team

SUFFICIENT = frozenset({"completed", "partial"})


@dataclass(frozen=True)
class Example:
    """What a pattern is asked in the demo. `field` is where a topic of one's own goes in its request."""

    field: str
    topic: str
    request: Mapping[str, Any]
    view: Callable[[Mapping[str, Any]], RenderableType]

    def asking(self, topic: str | None) -> dict[str, Any]:
        """The request, about the example's own topic or another."""
        return {**self.request, "request": {self.field: topic or self.topic}}


EXAMPLES: Mapping[str, Example] = {
    "sequential": Example(
        "topic",
        "Why the sea is salt",
        {"agents": ["research", {"pattern": "parallel", "name": "check", "agents": ["academic", "news"]}, "writer"]},
        tree,
    ),
    "parallel": Example(
        "query",
        "Does light at night harm insects?",
        {
            "agents": ["web", "academic", "news", "social"],
            "aggregator": "aggregator",
            "require": {"at_least": 2},
        },
        lanes,
    ),
    "hierarchical": Example("topic", "Why the sea is salt", {"preset": "editorial"}, team),
    "event-driven": Example("readings", "hall: 19.5, 19.7, 41.2 degrees Celsius", {"event": "DataReceived"}, causes),
    "consensus": Example(
        "post",
        "Bring your pitchforks to Elm Street 12 tonight. You know what he did.",
        {"preset": "moderation"},
        votes,
    ),
    "handoff": Example("question", "My card expired and now I cannot log in.", {"preset": "support"}, conversation),
    "review-loop": Example("topic", "Why the sea is salt", {}, rounds),
}


class RunFailed(Exception):
    """The run ended without what was asked for. The text is its cause in one line."""


def main() -> int:
    """Run the demo; 0 when the run came to a result, 1 with the cause in one line when not."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--pattern", choices=sorted(EXAMPLES), required=True)
    parser.add_argument("--topic", help="what is asked")
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR, help="runs and articles (default: %(default)s)")
    parser.add_argument("--state-dir", type=Path, default=STATE_DIR, help="the host's state (default: %(default)s)")
    parser.add_argument("--state", choices=("sqlite", "cosmos"), help="where runs are kept (default: as configured)")
    chosen = parser.parse_args()
    try:
        asyncio.run(demo(chosen))
    except (HostFailed, CallRefused, RunFailed, NodeUnavailable, aiohttp.ClientError, OSError) as error:
        print(f"make demo failed: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


async def demo(chosen: argparse.Namespace) -> None:
    """Start the host, run the pattern's example, and show everything about it. Raises `RunFailed`."""
    ensure_settings()
    example = EXAMPLES[chosen.pattern]
    state_dir = ROOT / chosen.state_dir
    settings = {"MUSTER_DATA_DIR": str(ROOT / chosen.data_dir)}
    console.print("Starting the local host ...", style="dim")
    async with (
        state_settings(chosen.state) as kept,
        local_host(log=state_dir / "demo.log", state_dir=state_dir, settings={**settings, **kept}) as host,
        RunApi(host) as api,
    ):
        console.print(f"It is up at {host.url}, and its log is {short(host.log)}.", style="dim", soft_wrap=True)
        request = example.asking(chosen.topic)
        console.print(f"\nPOST /api/workflows/{chosen.pattern}")
        console.print_json(data=request)
        console.print()
        task = await _watched(api, await api.start(chosen.pattern, request), example)
    show_timeline(task)
    if any(step["usage"]["model"] == OFFLINE_MODEL for step in task["steps"]):
        console.print(
            "No language model was called: the answers are from the local host's offline model.\n", style="yellow"
        )
    console.print(f"Run       {task['id']} is {task['status']}")
    if task["status"] not in SUFFICIENT:
        raise RunFailed((task["error"] or {}).get("message", f"the run {task['id']} is {task['status']}"))


async def _watched(api: RunApi, task_id: str, example: Example) -> dict[str, Any]:
    task: dict[str, Any] = {}
    if console.is_terminal:
        with Live(console=console, refresh_per_second=12) as live:
            async for task in api.watch(task_id):
                live.update(example.view(task))
        return task
    seen: dict[str, str] = {}
    async for task in api.watch(task_id):
        for step in task["steps"]:
            if step["status"] not in ("pending", seen.get(step["step_id"])):
                seen[step["step_id"]] = step["status"]
                console.print(f"  {step['name']}: {step['status']}")
    console.print()
    console.print(example.view(task))
    return task


if __name__ == "__main__":
    sys.exit(main())
