"""What a package says of itself is the same from memory, and nothing else is answered from there."""

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, distributions, files, metadata, requires, version
from pathlib import Path
from typing import Any

import pytest

from devhost.worker.package_versions import ASKED_OFTEN, remember_versions


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    before = list(sys.meta_path)
    yield
    sys.meta_path[:] = before


def said() -> list[Any]:
    """All that can be asked about the package, and how many packages there are."""
    names = sorted(str(each.name) for each in distributions())
    found = distribution(ASKED_OFTEN)
    place = Path(str(found.locate_file("azure")))
    listed = [str(each) for each in files(ASKED_OFTEN) or ()]
    points = [str(each) for each in found.entry_points]
    return [version(ASKED_OFTEN), requires(ASKED_OFTEN), metadata(ASKED_OFTEN).json, listed, points, place, names]


def test_a_remembered_package_says_what_it_said_before() -> None:
    before = said()
    remember_versions()
    assert said() == before
    assert version("pydantic") == Distribution.from_name("pydantic").version


def test_its_metadata_is_read_once() -> None:
    remember_versions()
    assert version(ASKED_OFTEN) == version(ASKED_OFTEN)
    assert distribution(ASKED_OFTEN).metadata is distribution(ASKED_OFTEN).metadata


def test_asking_again_adds_nothing_and_no_module_is_found_there() -> None:
    remember_versions()
    finders = list(sys.meta_path)
    remember_versions()
    assert sys.meta_path == finders
    assert finders[0].find_spec("azure.functions", None) is None


def test_a_machine_without_the_package_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    before = list(sys.meta_path)
    remember_versions()
    assert sys.meta_path == before
