"""Options of the test suite; each is read by the tests it names."""

from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the project's options."""
    parser.addoption(
        "--broker-programs", type=int, default=2000, help="random programs for tests/contract/test_broker_properties.py"
    )
    parser.addoption("--broker-seed", type=int, default=None, help="the seed of the first of these programs")
    parser.addoption(
        "--orchestrations",
        type=int,
        default=100,
        help="random orchestrations for tests/unit/devhost/taskhub/test_turns_agree.py",
    )
    parser.addoption("--orchestrations-seed", type=int, default=None, help="the seed of the first of these")
    parser.addoption("--taskhub-kills", type=int, default=200, help="how often tests/faults/test_taskhub_kill.py kills")
    parser.addoption("--taskhub-kill-seed", type=int, default=None, help="the seed of the moments it kills at")
    parser.addoption(
        "--fault-plans",
        type=int,
        default=1000,
        help="how many fault plans tests/faults/test_fault_plans.py carries out for each pattern",
    )
    parser.addoption("--fault-seed", type=int, default=None, help="the seed of the first of these plans")
    parser.addoption(
        "--servicebus-connection",
        default=None,
        help="a connection string: tests/contract/servicebus runs against that namespace instead of the local one",
    )
    parser.addoption(
        "--cosmos-endpoint",
        default=None,
        help="an account or Microsoft's emulator: the stores' contracts run against it instead of the server from npm",
    )
    parser.addoption("--cosmos-key", default=None, help="the key of --cosmos-endpoint")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what tests printed sendable between test processes: some of them log text that is no Unicode on purpose."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
