"""`make run`: the local host in the foreground on this app, and three calls to try."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from scripts.cosmos_server import state_settings
from scripts.local_host import ROOT, ensure_settings, make_private
from scripts.node_packages import NodeUnavailable

STATE_DIR = ROOT / ".devhost"
READY_FILE = STATE_DIR / "run.ready.json"

TRY = """
Try:
  curl -s -X POST {url}/api/create-content {key} -H "Content-Type: application/json" -d '{{"topic": "Tides"}}'
  curl -s {url}/api/task/TASK_ID {key}      # the task_id from the first answer
  curl -s {url}/api/agents {key}
Ctrl-C stops the host; queues, orchestrations, runs and articles stay, and the next start goes on with them.
"""


async def run(arguments: Sequence[str], state: str | None) -> int:
    """Run the host until it ends; its exit status. Raises `NodeUnavailable`."""
    async with state_settings(state) as kept:
        return await _host(arguments, kept)


async def _host(arguments: Sequence[str], settings: Mapping[str, str]) -> int:
    ensure_settings()
    make_private(STATE_DIR)
    READY_FILE.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "devhost",
        "--ready-file",
        str(READY_FILE),
        *arguments,
        cwd=ROOT,
        env={**os.environ, **settings},
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.send_signal, signal.SIGTERM)
    ended = asyncio.create_task(process.wait())
    while not READY_FILE.exists() and not ended.done():
        await asyncio.sleep(0.05)
    if READY_FILE.exists():
        ready = json.loads(READY_FILE.read_text())
        keys_dir = os.path.relpath(ready["keys_dir"])
        print(TRY.format(url=ready["url"], key=f'-H "x-functions-key: $(cat {keys_dir}/default)"'), flush=True)
    return await ended


def main() -> int:
    """Run the host; its exit status.

    An interrupt from the terminal reaches the host itself, and a request to terminate is passed on to it: either way
    the host drains and ends, and this process waits for it.
    """
    signal.signal(signal.SIGINT, lambda *_: None)
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--state", choices=("sqlite", "cosmos"), help="where runs are kept (default: as configured)")
    parser.epilog = "Further arguments, such as --port 7072, are the host's: python -m devhost --help."
    chosen, arguments = parser.parse_known_args()
    try:
        return asyncio.run(run(arguments, chosen.state))
    except NodeUnavailable as error:
        print(f"make run failed: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
