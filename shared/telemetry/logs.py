"""Log records as they may leave: with the types of errors, and without what they say.

An error's message may quote what a person asked or a model answered. So the app hands errors to its log as they are,
and other text of that kind as `Quoted`; what is sent away shows their types, what is written here shows them in full.
"""

import copy
import logging
import time
from collections.abc import Callable, Mapping
from typing import override

from shared.contracts import ErrorInfo
from shared.telemetry.attributes import ERROR_TYPE
from shared.telemetry.faults import told_type


class Quoted(str):
    """Text in a log line that may quote what a person asked or a model answered."""

    __slots__ = ()


class WithoutMessages(logging.Filter):
    """Puts in the place of each error its type, and leaves tracebacks out."""

    @override
    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy of the record that may leave; the record itself stays as it is, for the handlers beside this one."""
        told = copy.copy(record)
        args = record.args
        told.args = (
            {name: _told(value) for name, value in args.items()}
            if isinstance(args, Mapping)
            else tuple(_told(value) for value in args or ())
        )
        if record.exc_info and record.exc_info[0] is not None:
            told.__dict__[ERROR_TYPE] = record.exc_info[0].__name__
        told.exc_info = told.exc_text = told.stack_info = None
        return told


class Seldom(logging.Filter):
    """Lets one record through in `seconds`, and says how many it held back since the last.

    `monotonic` gives the time in seconds.
    """

    def __init__(self, seconds: float = 60.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._monotonic = monotonic
        self._next = float("-inf")
        self._held_back = 0

    @override
    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        """The record when its time has come; one that follows others held back says how many those were."""
        now = self._monotonic()
        if now < self._next:
            self._held_back += 1
            return False
        self._next, held_back, self._held_back = now + self._seconds, self._held_back, 0
        if not held_back:
            return True
        told = copy.copy(record)
        told.msg, told.args = f"{record.getMessage()} (and {held_back} such lines before)", ()
        return told


def _told(value: object) -> object:
    match value:
        case BaseException():
            return type(value).__name__
        case ErrorInfo():
            return told_type(value.type)
        case Quoted():
            return "(left out)"
        case _:
            return value
