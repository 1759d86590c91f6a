"""`make cost` as its user meets it, over counts that were saved: tables, JSON, and one line for whatever is wrong."""

import json
from pathlib import Path

import pytest

from scripts.cost.__main__ import main
from scripts.cost.counts import CountsRefused, Measurement
from scripts.cost.prices import PRICES
from tests.support.cost_examples import a_measurement, the_profile


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "counts.json"
    a_measurement().write(path)
    return path


def test_the_tables_have_every_pattern_what_idling_costs_and_what_dominates(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--counts", str(saved)]) == 0
    printed = capsys.readouterr().out
    for pattern in the_profile().mix:
        # In what a run takes, in what a thousand cost, and in what dominates.
        assert printed.count(f"  {pattern} ") == 2
        assert f"1,000 runs of {pattern}: " in printed
    assert "A month in which nothing runs" in printed
    assert "A month with 10,000 runs" in printed
    assert "dominates" in printed
    assert "as of 2026-11-20" in printed
    assert "PROFILE=... with busy, private, trial" in printed


def test_no_line_of_the_tables_is_cut(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--counts", str(saved), "--profile", "private"]) == 0
    assert "…" not in capsys.readouterr().out


def test_json_has_the_same_for_programs(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--counts", str(saved), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["as_of"] == "2026-11-20"
    assert set(told["per_1000_runs"]) == set(the_profile().mix)
    month = told["month"]
    assert month["total"]["low"] == pytest.approx(sum(line["cost"]["low"] for line in month["lines"]))
    assert set(month["dominates"]) == {"low", "low_share", "high", "high_share"}


def test_another_price_table_needs_no_new_run(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "prices.toml"
    mine.write_text(PRICES.read_text().replace("as_of = 2026-11-20", "as_of = 2027-02-03"))
    assert main(["--counts", str(saved), "--prices", str(mine)]) == 0
    assert "as of 2027-02-03" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "nobody"], "there is no profile 'nobody': choose busy, private, team, trial"),
        (["--profile", "missing.toml"], "missing.toml cannot be read"),
        (["--prices", "missing.toml"], "missing.toml cannot be read"),
        (["--counts", "missing.json"], "missing.json cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_run(
    arguments: list[str], said: str, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--counts", str(saved), *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("make cost failed: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--runs", "0"], ["--runs", "x"], ["--patterns", "zigzag"]])
def test_arguments_that_make_no_sense_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert arguments[0] in capsys.readouterr().err


# -- counts that were saved ---------------------------------------------------------------------------------------


def test_counts_are_read_as_they_were_saved(saved: Path) -> None:
    assert Measurement.read(saved) == a_measurement()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "EOF"),
        ("[]", "object"),
        ('{"format": 2}', "format: "),
        ('{"patterns": {"handoff": {"request": {}, "runs": [], "look": {}}}}', "patterns.handoff.runs: "),
        ('{"patterns": {"handoff": {"request": {}, "runs": [{"bus": {"sent": 1}}], "look": {}}}}', "bus.sent: Extra"),
        (
            '{"patterns": {"handoff": {"request": {}, "runs": [{"log": {"bytes": -1}}], "look": {}}}}',
            "runs.0.log.bytes: ",
        ),
    ],
)
def test_a_file_that_holds_no_counts_is_refused_with_the_field_named(tmp_path: Path, text: str, said: str) -> None:
    whole = json.loads(a_measurement().model_dump_json())
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**whole, **json.loads(text)}) if text.startswith("{") else text)
    with pytest.raises(CountsRefused, match=r"mine\.json") as refused:
        Measurement.read(path)
    assert said in str(refused.value)
