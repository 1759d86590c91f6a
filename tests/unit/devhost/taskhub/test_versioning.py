"""Which version is older, and who may run what."""

import pytest

from devhost.taskhub.versioning import VersionFailure, Versioning, VersionMatch, compare_versions


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (None, "1.0"),
        ("", "0"),
        ("  ", "0.0"),
        ("1.9", "1.10"),
        ("1.0", "1.0.0"),
        ("1.0.0", "1.0.0.0"),
        ("2.0.0.9", "10.0"),
        # One number alone is not a dotted version, so these compare as texts.
        ("10", "9"),
        ("2025-01-01", "2025-02-01"),
        ("V1-a", "v1-B"),
        # The third has a part too large for a dotted version.
        ("1.10", "1.4294967296"),
    ],
)
def test_versions_are_ordered_as_dotted_numbers_or_else_as_texts(older: str | None, newer: str) -> None:
    assert compare_versions(older, newer) < 0
    assert compare_versions(newer, older) > 0


@pytest.mark.parametrize(
    ("one", "other"), [(None, ""), (None, " "), ("1.0", "1.0"), ("01.0", "1.00"), (" 1 . 2", "1.2"), ("v1", "V1")]
)
def test_these_versions_are_the_same(one: str | None, other: str) -> None:
    assert compare_versions(one, other) == 0
    assert compare_versions(other, one) == 0


@pytest.mark.parametrize(
    ("match", "version", "may_run"),
    [
        (VersionMatch.CURRENT_OR_OLDER, None, True),
        (VersionMatch.CURRENT_OR_OLDER, "1.9", True),
        (VersionMatch.CURRENT_OR_OLDER, "2.0", True),
        (VersionMatch.CURRENT_OR_OLDER, "2.1", False),
        (VersionMatch.STRICT, None, False),
        (VersionMatch.STRICT, "2.0", True),
        (VersionMatch.STRICT, "2.0.0", False),
        (VersionMatch.NONE, "3", True),
        (VersionMatch.NONE, None, True),
    ],
)
def test_a_host_runs_what_its_strategy_lets_it(match: VersionMatch, version: str | None, may_run: bool) -> None:
    why_not = Versioning("2.0", match).mismatch(version)
    assert (why_not is None) is may_run
    assert may_run or "2.0" in str(why_not)


@pytest.mark.parametrize("match", list(VersionMatch))
@pytest.mark.parametrize("version", [None, "", "7"])
def test_a_host_without_a_version_runs_everything(match: VersionMatch, version: str | None) -> None:
    assert Versioning(None, match, VersionFailure.FAIL).mismatch(version) is None


@pytest.mark.parametrize(("asked", "given"), [(None, "2.0"), ("", "2.0"), ("1.0", "1.0")])
def test_a_new_orchestration_gets_the_version_asked_for_or_the_hosts(asked: str | None, given: str) -> None:
    assert Versioning("2.0").of_new(asked) == given


def test_without_a_version_of_the_host_a_new_orchestration_has_none_either() -> None:
    assert Versioning().of_new(None) is None
