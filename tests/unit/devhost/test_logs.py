import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from devhost.logs import set_app_level, set_up_logging


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(*, json_lines: bool = False, verbose: bool = False, colour: bool = False) -> io.StringIO:
    stream = io.StringIO()
    set_up_logging(json_lines=json_lines, verbose=verbose, colour=colour, stream=stream)
    return stream


def test_a_line_for_people_has_time_level_and_message_and_names_foreign_loggers() -> None:
    stream = logged()
    logging.getLogger("devhost.x").info("mine %d", 1)
    logging.getLogger("app.orders").warning("theirs")
    mine, theirs = stream.getvalue().splitlines()
    assert mine[12:] == " INFO  mine 1"
    assert theirs[12:] == " WARN  [app.orders] theirs"


def test_colour_comes_only_when_asked_for() -> None:
    plain, coloured = logged(), None
    logging.getLogger("devhost").error("x")
    assert "\x1b" not in plain.getvalue()
    coloured = logged(colour=True)
    logging.getLogger("devhost").error("x")
    assert "\x1b[31m" in coloured.getvalue()


def test_a_json_line_is_one_object_whatever_the_message_holds() -> None:
    stream = logged(json_lines=True)
    logging.getLogger("devhost").info('two\nlines "quoted"', extra={"function": "f", "odd": object()})
    error = ValueError("x")
    logging.getLogger("devhost").error("failed", exc_info=error)
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first["message"] == 'two\nlines "quoted"'
    assert first["function"] == "f"
    assert first["level"] == "info"
    assert "ValueError: x" in second["exception"]


@pytest.mark.parametrize(("verbose", "shown"), [(False, ["loud", "app"]), (True, ["quiet", "loud", "app"])])
def test_libraries_are_heard_from_warning_on_unless_verbose(verbose: bool, shown: list[str]) -> None:
    stream = logged(verbose=verbose)
    logging.getLogger("azure.servicebus._pyamqp").info("quiet")
    logging.getLogger("azure.servicebus").warning("loud")
    logging.getLogger("my_app").info("app")
    assert [line.split("] ")[1] for line in stream.getvalue().splitlines()] == shown


def test_the_worker_librarys_own_report_of_a_failed_call_is_left_to_the_host() -> None:
    stream = logged()
    path = "/site-packages/azure_functions_runtime/native_invocation.py"
    for level, text in ((logging.ERROR, "Native invocation failed"), (logging.WARNING, "odd setting")):
        record = logging.LogRecord("azure.functions", level, path, 1, text, None, None)
        logging.getLogger("azure.functions").handle(record)
    assert "Native" not in stream.getvalue()
    assert "odd setting" in stream.getvalue()


def test_the_apps_loggers_are_heard_from_the_level_of_host_json_and_the_hosts_own_stay() -> None:
    stream = logged()
    set_app_level("Warning")
    logging.getLogger("my_app").info("quiet")
    logging.getLogger("my_app").warning("loud")
    logging.getLogger("devhost.host").info("ready")
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["loud", "ready"]


def test_python_warnings_are_logged() -> None:
    stream = logged()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("take care", UserWarning, stacklevel=1)
    assert "take care" in stream.getvalue()
