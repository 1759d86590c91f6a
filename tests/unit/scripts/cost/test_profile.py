"""Profiles: those that are shipped can be read, and a wrong one is refused with the field named."""

from pathlib import Path

import pytest

from scripts.cost.profile import DEFAULT, PROFILES, profile_names, read_profile
from scripts.cost.toml_file import FileRefused
from tests.support.cost_examples import the_prices, the_profile


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_that_is_shipped_can_be_read_and_its_model_has_a_price(name: str) -> None:
    profile = read_profile(name)
    assert profile.model.name in the_prices().models
    assert sum(profile.mix.values()) == pytest.approx(1)


def test_the_default_profile_is_one_of_them_and_uses_every_pattern() -> None:
    assert DEFAULT in profile_names()
    assert len([share for share in read_profile(DEFAULT).mix.values() if share]) == 7


def test_a_name_that_nobody_knows_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(FileRefused, match=r"no profile 'tema': choose busy, private, team, trial"):
        read_profile("tema")


def test_a_profile_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text((PROFILES / "trial.toml").read_text().replace("runs_per_month = 200", "runs_per_month = 7"))
    assert read_profile(str(mine)).runs_per_month == 7


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("runs_per_month = 200", "runs_per_month = -1", "runs_per_month: "),
        ("runs_per_month = 200", "runs_per_month = 'many'", "runs_per_month: "),
        ("runs_per_month = 200", "runs_a_month = 200", "runs_per_month: Field required"),
        ("looks_per_run = 20", "looks_per_run = nan", "looks_per_run: "),
        ("sequential = 1.0", "sequential = 0.5", "add up to 0.5"),
        ("sequential = 1.0", "sequentail = 1.0", "mix.sequentail"),
        ("sequential = 1.0", "sequential = 1.5", "mix.sequential: "),
        ("seconds_per_call = 6.0", "seconds_per_call = 6000", "model.seconds_per_call: "),
        ("input_tokens = 1_500", "input_tokens = 'guessed'", "model.input_tokens"),
        ("input_tokens = 1_500", "cached_share = 2", "model.cached_share: "),
        ("output_tokens = 800", "temperature = 1", "model.temperature: Extra inputs"),
        ("output_tokens = 800", "[deployment]\ninstance_mb = 1024", "deployment.instance_mb: "),
        ("output_tokens = 800", "[deployment]\nexecutions_at_once = 0", "deployment.executions_at_once: "),
        ("output_tokens = 800", "[deployment]\ndurable_backend = 'paper'", "deployment.durable_backend: "),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    text = (PROFILES / "trial.toml").read_text()
    assert right in text
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace(right, wrong))
    with pytest.raises(FileRefused) as refused:
        read_profile(str(mine))
    assert said in str(refused.value)
    assert "mine.toml" in str(refused.value)


def test_an_example_can_change_any_field_of_the_default() -> None:
    assert the_profile(deployment__private_network=True).deployment.private_network
