"""Log records as they may leave: with the types of errors, and without what they say.

An error's message may quote what a person asked or a model answered. So the app hands errors to its log as they are,
and other text of that kind as `Quoted`; what is sent away shows their types, what is written here shows them in full.
"""

import copy
import logging
from collections.abc import Mapping
from typing import override

from shared.contracts import ErrorInfo
from shared.telemetry.faults import told_type
from shared.telemetry.names import ERROR_TYPE


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
