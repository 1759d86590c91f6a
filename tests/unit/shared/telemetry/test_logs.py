"""Log records that leave say which errors there were, and not what those say."""

import ast
import io
import logging
from pathlib import Path

import pytest

from shared.contracts import ErrorInfo
from shared.errors import ModelRefused
from shared.telemetry.logs import Quoted, Seldom, WithoutMessages

ROOT = Path(__file__).parent.parent.parent.parent.parent
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
CANARY = "Kanarienvogel"


def both(template: str, *args: object, error: BaseException | None = None) -> tuple[str, str]:
    """A line as it is written here, and as it leaves."""
    here, away = io.StringIO(), io.StringIO()
    log = logging.Logger("muster.test")
    for stream, filters in ((here, []), (away, [WithoutMessages()])):
        handler = logging.StreamHandler(stream)
        for each in filters:
            handler.addFilter(each)
        log.addHandler(handler)
    log.error(template, *args, exc_info=error)
    return here.getvalue(), away.getvalue()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (ModelRefused(CANARY), "ModelRefused"),
        (ErrorInfo(type="ModelRefused", message=CANARY), "ModelRefused"),
        (ErrorInfo(type=f"not a type: {CANARY}", message=""), "_OTHER"),
        (Quoted(CANARY), "(left out)"),
    ],
)
def test_an_error_leaves_as_its_type_and_is_written_here_in_full(said: object, told: str) -> None:
    here, away = both("%s failed: %s", "step writer", said)
    assert CANARY in here
    assert away == f"step writer failed: {told}\n"


def test_a_traceback_does_not_leave() -> None:
    try:
        int(CANARY)
    except ValueError as error:
        here, away = both("it broke", error=error)
    assert CANARY in here
    assert away == "it broke\n"


def test_a_line_by_names_leaves_without_what_errors_say() -> None:
    _, away = both("%(what)s", {"what": Quoted(CANARY)})
    assert away == "(left out)\n"


def test_what_is_said_over_and_over_is_let_through_once_a_minute() -> None:
    times, stream = iter((0.0, 1.0, 59.0, 60.0, 61.0, 200.0)), io.StringIO()
    log = logging.Logger("muster.test")
    log.addHandler(logging.StreamHandler(stream))
    log.addFilter(Seldom(60, lambda: next(times)))
    for _ in range(6):
        log.warning("nobody listens at %s", "there")
    assert stream.getvalue().splitlines() == [
        "nobody listens at there",
        "nobody listens at there (and 2 such lines before)",
        "nobody listens at there (and 1 such lines before)",
    ]


def log_arguments() -> list[tuple[str, ast.expr]]:
    """Every argument of every log call of the app after its template, and where it is."""
    found: list[tuple[str, ast.expr]] = []
    for room in ("agents", "orchestrations", "shared"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(ast.Attribute(ast.Name("log"), level), args) if level in LEVELS:
                        found += [(f"{path.relative_to(ROOT)}:{node.lineno}", each) for each in args]
    return found


def test_the_app_hands_errors_to_its_log_as_they_are() -> None:
    """An f-string, `str(error)` or `error.message` would be text like any other, and leave."""
    assert len(log_arguments()) > 60
    texts = [
        (place, ast.unparse(argument))
        for place, argument in log_arguments()
        if isinstance(argument, ast.JoinedStr)
        or (isinstance(argument, ast.Attribute) and argument.attr in ("message", "args", "text", "cause"))
        or (isinstance(argument, ast.Call) and ast.unparse(argument.func) in ("str", "repr"))
        or (isinstance(argument, ast.Call) and ast.unparse(argument.func).endswith(".details"))
        or (isinstance(argument, ast.Name) and argument.id in ("message", "cause", "text"))
    ]
    assert texts == []
