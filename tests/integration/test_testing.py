"""`devhost.testing`, used as its reader would use it: the tests of an app of its own, in a process of their own."""

import asyncio
import sys

from tests.support.host_process import ROOT

APP = ROOT / "tests" / "integration" / "apps" / "approvals"
LONGEST_SECONDS = 120.0


async def test_an_apps_own_tests_run_days_of_waiting_and_crashes_of_the_task_hub_in_one_process() -> None:
    """Its `approvals_test.py`: a day's approval with escalation ends at once, timers and schedules keep their hours."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "approvals_test.py"),
        cwd=APP,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LONGEST_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    assert b"17 passed" in output
