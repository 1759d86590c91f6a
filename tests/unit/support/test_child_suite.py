"""A suite in a process of its own says of each test what went wrong in it, and hides none."""

from pathlib import Path

from tests.support.child_suite import names_in, run_suite

SUITE = """
import pytest


def test_holds() -> None:
    pass


@pytest.mark.parametrize("number", [1, 2])
def test_holds_for_one(number: int) -> None:
    assert number == 1


@pytest.fixture
def broken() -> None:
    raise RuntimeError("no ground")


def test_stands_on_nothing(broken: None) -> None:
    pass


def helper() -> None:
    pass
"""


def test_each_tests_failure_is_told_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_files = *_test.py\naddopts = -p no:cacheprovider\n")
    (tmp_path / "some_test.py").write_text(SUITE)
    assert names_in(tmp_path) == [
        "some_test::test_holds",
        "some_test::test_holds_for_one",
        "some_test::test_stands_on_nothing",
    ]
    found = run_suite(tmp_path)
    assert found["some_test::test_holds"] == []
    [failure] = found["some_test::test_holds_for_one"]
    assert failure.startswith("test_holds_for_one[2]")
    [error] = found["some_test::test_stands_on_nothing"]
    assert "no ground" in error
