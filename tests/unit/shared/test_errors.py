"""The tree of errors is the one drawn at the head of its module, and decides alone what is tried again."""

import inspect
import re
from datetime import timedelta

import pytest

from shared import errors
from shared.errors import InvalidRequest, MusterError, NoUsableAnswer, RetryableError, TerminalError

ALL = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, MusterError)]
LEAVES = [error for error in ALL if error not in (MusterError, RetryableError, TerminalError)]


def test_the_drawing_names_every_error_and_no_other() -> None:
    drawn = re.findall(r"^[│├└─ ]*([A-Z]\w+)", str(errors.__doc__).partition("\n\n")[2], re.MULTILINE)
    assert sorted(drawn) == sorted(error.__name__ for error in ALL)


@pytest.mark.parametrize("error", LEAVES)
def test_every_error_is_either_retryable_or_terminal(error: type[MusterError]) -> None:
    assert issubclass(error, RetryableError) != issubclass(error, TerminalError)


@pytest.mark.parametrize("error", ALL)
def test_every_error_says_in_a_line_what_it_means(error: type[MusterError]) -> None:
    assert error.__doc__


@pytest.mark.parametrize("error", ALL)
def test_an_error_is_its_message(error: type[MusterError]) -> None:
    assert str(error("it broke")) == "it broke"


def test_what_an_error_carries_besides_is_there_to_be_read() -> None:
    assert RetryableError("later", retry_after=timedelta(seconds=3)).retry_after == timedelta(seconds=3)
    assert RetryableError("later").retry_after is None
    assert InvalidRequest("bad", field="topic").field == "topic"
    assert NoUsableAnswer("cut").usage is None
