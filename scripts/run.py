"""`make run`: the local host in the foreground on this app, and three calls to try."""

import asyncio
import json
import os
import signal
import sys

from scripts.local_host import ROOT, ensure_settings, make_private

STATE_DIR = ROOT / ".devhost"
READY_FILE = STATE_DIR / "run.ready.json"

TRY = """
Try:
  curl -s -X POST {url}/api/create-content {key} -H "Content-Type: application/json" -d '{{"topic": "Tides"}}'
  curl -s {url}/api/task/TASK_ID {key}      # the task_id from the first answer
  curl -s {url}/api/agents {key}
Ctrl-C stops the host; queues, runs and articles stay. Orchestrations in flight are kept in memory and end with it.
"""


async def run() -> int:
    """Run the host until it ends; its exit status."""
    ensure_settings()
    make_private(STATE_DIR)
    READY_FILE.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devhost", "--ready-file", str(READY_FILE), *sys.argv[1:], cwd=ROOT
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
    return asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
