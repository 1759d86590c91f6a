"""`docs/cost.md`: what it shows is what the command prints, as far as that does not depend on a measurement."""

import re
from pathlib import Path

import pytest

from scripts.cost.__main__ import main
from scripts.cost.profile import Deployment, ModelUse, Profile, profile_names
from scripts.cost.toml_file import read_toml
from tests.support.cost_examples import a_measurement, the_prices
from tests.support.pages import ROOT, fences

PAGE = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> list[str]:
    """The lines of one table."""
    lines = [line.rstrip() for line in text.splitlines()]
    begin = lines.index(title)
    return lines[begin : next(number for number in range(begin, len(lines)) if lines[number].startswith("  total"))]


def test_the_month_in_which_nothing_runs_is_the_one_that_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_measurement().write(tmp_path / "counts.json")
    assert main(["--counts", str(tmp_path / "counts.json")]) == 0
    printed, title = capsys.readouterr().out, "A month in which nothing runs"
    assert section(PAGE, title) == section(printed, title)


def test_the_page_says_as_of_when_the_prices_are() -> None:
    assert PAGE.count(the_prices().as_of.isoformat()) == 2


def test_every_profile_is_on_the_page() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(profile_names())


def test_the_profile_that_is_shown_can_be_read_and_has_every_field(tmp_path: Path) -> None:
    [shown] = [fence.text for fence in fences(PAGE) if fence.text.startswith("description = ")]
    (tmp_path / "shown.toml").write_text(shown)
    profile = read_toml(tmp_path / "shown.toml", Profile)
    assert profile.model_fields_set == set(Profile.model_fields)
    assert profile.model.model_fields_set == set(ModelUse.model_fields)
    assert profile.deployment == Deployment()
    assert profile.deployment.model_fields_set == set(Deployment.model_fields)
