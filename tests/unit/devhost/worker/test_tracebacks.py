import traceback

import pytest

from devhost.worker.tracebacks import app_frames, error_from


class OddError(Exception):
    """An error whose representation is not a call."""

    def __repr__(self) -> str:
        return "two words, (and more)"


def caught(error: BaseException) -> tuple[str, str]:
    return repr(error), "".join(traceback.format_exception(thrown(error)))


def thrown(error: BaseException) -> BaseException:
    def throw() -> None:
        raise error

    try:
        throw()
    except BaseException as raised:
        return raised
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("plain"), "ValueError", "plain"),
        (ValueError(), "ValueError", ""),
        (ValueError("two\nlines: with colons"), "ValueError", "two\nlines: with colons"),
        (OddError("odd"), "OddError", "odd"),
        (KeyError("k"), "KeyError", "'k'"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError", None),
    ],
)
def test_type_and_message_are_read_back(error: Exception, kind: str, message: str | None) -> None:
    read = error_from(*caught(error))
    assert read.type == kind
    assert read.message == (str(error) if message is None else message)


def test_of_a_chain_of_errors_the_last_one_counts() -> None:
    second = RuntimeError("second")
    second.__cause__ = thrown(KeyError("first"))
    read = error_from(*caught(second))
    assert (read.type, read.message) == ("RuntimeError", "second")
    assert "KeyError" in read.traceback


def test_an_error_without_a_readable_traceback_keeps_its_representation() -> None:
    assert error_from("function x not loaded", "").message == "function x not loaded"
    assert error_from("ValueError('x')", "").type == "ValueError"
    group = error_from(*caught(ExceptionGroup("several", [ValueError("x")])))
    assert group.type == "ExceptionGroup"
    assert "several" in group.message


def test_the_librarys_frames_are_left_out_of_what_is_shown() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "/x/site-packages/azure_functions_runtime/native_invocation.py", line 179, in invoke\n'
        "    call_result = await execute_async(fi.func, args)\n"
        "                  ^^^^^\n"
        '  File "/app/function_app.py", line 7, in f\n'
        "    raise ValueError\n"
        "ValueError\n"
    )
    assert app_frames(text) == (
        "Traceback (most recent call last):\n"
        '  File "/app/function_app.py", line 7, in f\n'
        "    raise ValueError\n"
        "ValueError"
    )
