"""Whoever should receive telemetry may be away, slow or broken: no run fails, waits or ends late because of that."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.telemetry.otel.exporting import Exporting
from tests.support.host_process import ROOT
from tests.support.muster_host import free_port, muster_host
from tests.support.otlp_receiver import otlp_receiver

SETTINGS = {"MUSTER_MODEL_BASE_URL": "", "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
REQUEST = json.dumps({"agents": ["research", "writer"], "request": "tides"}).encode()


async def a_run_completes(folder: Path, endpoint: str) -> str:
    """Run a sequence on a host that exports to `endpoint`, and stop the host; its log."""
    settings = {**SETTINGS, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    async with muster_host(folder, model_url="", settings=settings) as host:
        status, body, _ = await host.post("/api/workflows/sequential", REQUEST)
        assert status == 202, body
        task = await host.finished(body["task_id"])
        assert task["status"] == "completed", task
    return host.process.log


async def test_a_run_completes_though_nobody_listens(tmp_path: Path) -> None:
    await a_run_completes(tmp_path, f"http://127.0.0.1:{free_port()}")


async def test_a_run_completes_and_its_host_stops_though_the_receiver_never_answers(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        otlp.open.clear()
        await a_run_completes(tmp_path, otlp.url)
        assert otlp.requests > 0
        assert otlp.bodies == []


async def test_a_run_completes_though_the_receiver_refuses_everything(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        otlp.status = 400
        await a_run_completes(tmp_path, otlp.url)
        assert otlp.requests > 0


async def test_a_run_completes_though_its_receiver_speaks_no_http(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        await a_run_completes(tmp_path, f"http://127.0.0.1:{mute.getsockname()[1]}")


BURST = """
import sys
from shared.settings import Settings
from shared.telemetry import names
from shared.telemetry.attributes import AGENT
from shared.telemetry.choice import chosen_telemetry
from shared.telemetry.telemetry import Measure

telemetry = chosen_telemetry(Settings.read({"OTEL_EXPORTER_OTLP_ENDPOINT": sys.argv[1]}))
for number in range(10_000):
    with telemetry.span(names.CHAT, "m"):
        telemetry.record([Measure(names.COST, 0.001, {AGENT: "web"})])
print("recorded", flush=True)
telemetry.close()
print("closed", flush=True)
"""


def test_more_than_the_queue_holds_is_recorded_without_waiting_for_a_receiver_that_never_answers() -> None:
    with otlp_receiver() as otlp:
        otlp.open.clear()
        command = [sys.executable, "-c", BURST, otlp.url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout.split() == ["recorded", "closed"], done.stderr
        assert otlp.bodies == []


@pytest.mark.parametrize("stops", [1, 3])
def test_the_end_of_the_process_waits_only_so_long_for_what_does_not_end(stops: int) -> None:
    never = threading.Event()
    exporting = Exporting([never.wait] * stops, within=0.05)
    ending = threading.Thread(target=exporting.stop, daemon=True)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()
    never.set()


def test_stopping_twice_stops_once() -> None:
    stopped: list[str] = []
    exporting = Exporting([lambda: stopped.append("tracers"), lambda: stopped.append("meters")])
    exporting.stop()
    exporting.stop()
    assert sorted(stopped) == ["meters", "tracers"]
