"""`make demo`, as a stranger runs it, without a terminal."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.cosmos_server import PROGRAM
from scripts.node_packages import NodeUnavailable, packages_of
from tests.support.host_process import ROOT


def demo(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.demo", "--topic", "Why the sea is salt", *arguments]
    command += ["--state-dir", str(folder / "host"), "--data-dir", str(folder / "data")]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "MUSTER_MODEL_BASE_URL": "", **settings}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)


def test_the_demo_prints_the_article_the_timeline_and_where_to_look_and_labels_the_offline_model(
    tmp_path: Path,
) -> None:
    shown = demo(tmp_path)

    assert shown.returncode == 0, shown.stderr
    for step in ("research", "writer", "editor", "publisher"):
        assert f"{step}: succeeded" in shown.stdout
    assert "Why the sea is salt" in shown.stdout
    assert "[offline model]" in shown.stdout
    assert "No language model was called" in shown.stdout
    assert "queued" in shown.stdout
    assert "/api/task/" in shown.stdout
    [article] = (tmp_path / "data" / "artifacts").glob("*/*")
    assert "[offline model]" in article.read_text()


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("sequential", ["research: succeeded", "┬ check", "✓ academic", "writer"]),
        ("parallel", ["social: succeeded", "━", "5 of 5 have answered"]),
        ("hierarchical", ["research.scraper: succeeded", "master", "content", "accepts everything"]),
        ("event-driven", ["e1.archiver: succeeded", "DataReceived", "AnalysisCompleted", "NotificationReady"]),
        ("consensus", ["moderator-policy: succeeded", "votes", "decided by", "margin"]),
        ("handoff", ["router: succeeded", "→ support-", "replies"]),
        ("review-loop", ["writer: succeeded", "round 1", "accepted in round"]),
    ],
)
def test_the_demo_of_a_pattern_draws_its_run(tmp_path: Path, pattern: str, shown: list[str]) -> None:
    command = [sys.executable, "-m", "scripts.pattern_demo", "--pattern", pattern]
    command += ["--state-dir", str(tmp_path / "host"), "--data-dir", str(tmp_path / "data")]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MUSTER_MODEL_BASE_URL": "", "COLUMNS": "160"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert run.returncode == 0, run.stderr
    for part in (*shown, "Timeline", "No language model was called", "is completed"):
        assert part in run.stdout


async def test_the_demo_runs_on_cosmos_db(tmp_path: Path) -> None:
    try:
        await packages_of(PROGRAM)
    except NodeUnavailable as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    shown = await asyncio.to_thread(demo, tmp_path, "--state", "cosmos", PATH=os.environ["PATH"])

    assert shown.returncode == 0, shown.stderr
    for step in ("research", "writer", "editor", "publisher"):
        assert f"{step}: succeeded" in shown.stdout
    assert "kept by a Cosmos DB server in memory" in shown.stdout
    assert not list((tmp_path / "data").glob("*.db"))


def test_a_demo_that_cannot_start_exits_non_zero_with_the_cause_in_one_line(tmp_path: Path) -> None:
    shown = demo(tmp_path, MUSTER_MODEL_TIMEOUT_SECONDS="soon")

    assert shown.returncode == 1
    [line] = shown.stderr.strip().splitlines()
    assert "make demo failed" in line
    assert "MUSTER_MODEL_TIMEOUT_SECONDS" in line
