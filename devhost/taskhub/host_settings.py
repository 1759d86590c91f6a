"""What `host.json` says about orchestrations: `extensions.durableTask`."""

from collections.abc import Callable

from devhost.host_json import HostJson
from devhost.taskhub.concurrency import Concurrency
from devhost.taskhub.versioning import VersionFailure, Versioning, VersionMatch

_SECTION = ("extensions", "durableTask")


def concurrency_of(host_json: HostJson) -> Concurrency:
    """How much of the app runs at once. Raises `StartError` for what is no number above 0."""

    def most(kind: str) -> int:
        return host_json.whole_number(*_SECTION, f"maxConcurrent{kind}Functions", default=10)

    return Concurrency(orchestrators=most("Orchestrator"), activities=most("Activity"), entities=most("Entity"))


def versioning_of(host_json: HostJson, expand: Callable[[str], str]) -> Versioning:
    """Which versions of orchestrations this host gives and runs. Raises `StartError` for an unknown strategy.

    `expand` puts settings in the place of `%NAME%` in the version.
    """
    match = host_json.choice(*_SECTION, "versionMatchStrategy", choices=[each.value for each in VersionMatch])
    failure = host_json.choice(*_SECTION, "versionFailureStrategy", choices=[each.value for each in VersionFailure])
    return Versioning(
        default=expand(host_json.text(*_SECTION, "defaultVersion", default="")) or None,
        match=VersionMatch(match or VersionMatch.CURRENT_OR_OLDER),
        on_mismatch=VersionFailure(failure or VersionFailure.REJECT),
    )
