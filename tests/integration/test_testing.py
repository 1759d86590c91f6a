"""`devhost.testing`, used as its reader would use it: the tests of an app of its own, in a process of their own."""

from collections.abc import Mapping, Sequence

import pytest

from tests.support.child_suite import names_in, run_suite
from tests.support.host_process import ROOT

APP = ROOT / "tests" / "integration" / "apps" / "approvals"


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, Sequence[str]]:
    return run_suite(APP)


@pytest.mark.parametrize("name", names_in(APP))
def test_an_apps_own_tests_run_days_of_waiting_and_crashes_of_the_task_hub(
    outcomes: Mapping[str, Sequence[str]], name: str
) -> None:
    """Its `approvals_test.py`: a day's approval with escalation ends at once, timers and schedules keep their hours."""
    assert outcomes[name] == []
