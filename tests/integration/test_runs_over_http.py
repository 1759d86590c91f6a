"""What becomes of a run after it is over: found in lists, followed in its log, taken to another store, removed."""

import json
import subprocess
import sys
from pathlib import Path

from shared.artifacts.files import FileArtifacts
from shared.state.sqlite import SqliteState
from tests.support.chat_model import chat_model
from tests.support.host_process import ROOT
from tests.support.muster_host import muster_host


def import_run(file: Path, data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.import_run", str(file)]
    environment = {"PATH": "/usr/bin:/bin", "MUSTER_DATA_DIR": str(data_dir), "MUSTER_STATE": "sqlite"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def test_a_run_is_found_followed_taken_elsewhere_and_removed(tmp_path: Path) -> None:
    async with chat_model() as model, muster_host(tmp_path / "first", model_url=model.url) as host:
        _, started, _ = await host.post("/api/create-content", json.dumps({"topic": "Why the sea is salt"}).encode())
        task_id = started["task_id"]
        task = await host.finished(task_id)

        _, listed = await host.get("/api/tasks?status=completed&text=sea%20why&agent=editor&limit=5")
        assert [line["task_id"] for line in listed["tasks"]] == [task_id]
        _, counts = await host.get("/api/tasks/counts")
        assert (counts["total"], counts["by_status"]["completed"]) == (1, 1)

        _, log = await host.get(f"/api/task/{task_id}/events")
        kinds = [event["kind"] for event in log["events"]]
        assert kinds[0] == "run_created"
        assert kinds[-1] == "run_advanced"
        assert (kinds.count("step_claimed"), kinds.count("step_recorded")) == (4, 4)
        _, replayed = await host.get(f"/api/task/{task_id}/replay?until={len(kinds)}")
        assert replayed["task"]["result"] == task["result"]

        status, export = await host.get(f"/api/task/{task_id}/export")
        assert status == 200
        status, removed = await host.delete(f"/api/task/{task_id}")
        assert (status, removed["documents"], removed["histories"]) == (200, 5, 1), removed
        assert int(str(removed["artifacts"])) >= 1
        assert (await host.get(f"/api/task/{task_id}"))[0] == 404
        assert (await host.get("/api/tasks"))[1]["tasks"] == []
        assert (await host.delete(f"/api/task/{task_id}"))[0] == 404

    file = tmp_path / "run.json"
    file.write_text(json.dumps(export))
    for told in ("is imported, with", "is there already"):
        done = import_run(file, tmp_path / "second")
        assert (done.returncode, done.stderr) == (0, "")
        assert told in done.stdout
    store = SqliteState(tmp_path / "second" / "state.db")
    record = await store.read_run(task_id)
    await store.close()
    assert record is not None
    assert record.model_dump(mode="json") == export["record"]
    article = await FileArtifacts(tmp_path / "second" / "artifacts").get(task["result"]["address"])
    assert article.decode().startswith("# ")


def test_what_is_no_exported_run_is_refused_by_the_field_with_nothing_written(tmp_path: Path) -> None:
    for content, told in (("{}", "exported_at"), ("not json", "Invalid JSON"), ('{"format": "other"}', "format")):
        (tmp_path / "run.json").write_text(content)
        done = import_run(tmp_path / "run.json", tmp_path / "data")
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr
    assert import_run(tmp_path / "missing.json", tmp_path / "data").returncode == 1
    assert not (tmp_path / "data").exists()
