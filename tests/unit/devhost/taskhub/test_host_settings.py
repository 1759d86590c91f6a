"""What the task hub reads from `host.json`."""

from typing import Any

import pytest

from devhost.errors import StartError
from devhost.host_json import HONOURED, HostJson
from devhost.taskhub.concurrency import Concurrency
from devhost.taskhub.host_settings import concurrency_of, versioning_of
from devhost.taskhub.versioning import VersionFailure, Versioning, VersionMatch


def host_json(**durable_task: Any) -> HostJson:
    return HostJson({"extensions": {"durableTask": durable_task}}, ())


def test_what_is_not_said_is_as_in_azure() -> None:
    assert versioning_of(HostJson({}, ()), str) == Versioning(
        None, VersionMatch.CURRENT_OR_OLDER, VersionFailure.REJECT
    )
    assert concurrency_of(HostJson({}, ())) == Concurrency(10, 10, 10)


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_version_is_none(nothing: str | None) -> None:
    assert versioning_of(host_json(defaultVersion=nothing), str).default is None


def test_a_version_may_come_from_a_setting() -> None:
    read = versioning_of(host_json(defaultVersion="%APP_VERSION%"), lambda text: text.replace("%APP_VERSION%", "3.1"))
    assert read.default == "3.1"


@pytest.mark.parametrize("match", ["None", "Strict", "CurrentOrOlder"])
@pytest.mark.parametrize("failure", ["Reject", "Fail"])
def test_the_strategies_have_the_names_of_the_documentation(match: str, failure: str) -> None:
    read = versioning_of(
        host_json(defaultVersion="2.0", versionMatchStrategy=match, versionFailureStrategy=failure), str
    )
    assert read == Versioning("2.0", VersionMatch(match), VersionFailure(failure))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("defaultVersion", 2),
        ("defaultVersion", ["1.0"]),
        ("versionMatchStrategy", "strict"),
        ("versionMatchStrategy", "Newer"),
        ("versionMatchStrategy", 1),
        ("versionFailureStrategy", "Explode"),
        ("versionFailureStrategy", False),
    ],
)
def test_a_setting_that_means_nothing_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(StartError, match=f"extensions.durableTask.{key} must be"):
        versioning_of(host_json(**{key: value}), str)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("maxConcurrentOrchestratorFunctions", Concurrency(3, 10, 10)),
        ("maxConcurrentActivityFunctions", Concurrency(10, 3, 10)),
        ("maxConcurrentEntityFunctions", Concurrency(10, 10, 3)),
    ],
)
def test_each_kind_has_a_limit_of_its_own(key: str, expected: Concurrency) -> None:
    assert concurrency_of(host_json(**{key: 3})) == expected
    for wrong in (0, -1, "3", True, 1.5):
        with pytest.raises(StartError, match=f"{key} must be a number above 0"):
            concurrency_of(host_json(**{key: wrong}))


def test_every_setting_that_is_read_counts_as_honoured() -> None:
    read: set[str] = set()

    class Recording(HostJson):
        def _at(self, path: Any) -> Any:
            read.add(".".join(path))
            return super()._at(path)

    recording = Recording({}, ())
    concurrency_of(recording)
    versioning_of(recording, str)
    assert read <= HONOURED
