"""The host's log: one short line for people, or one JSON object a line for programs.

The app's own loggers are shown as they are. Libraries that speak at every turn (the Azure SDKs, gRPC, AMQP, HTTP
access) are heard from `WARNING` on, and the worker library's own report of a failed call is dropped: the host reports
it once, with the function's name.
"""

import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from typing import Final, TextIO

CHATTY: Final = (
    "aiohttp.access",
    "asyncio",
    "azure.core",
    "azure.durable_functions",
    "azure.durable_functions.worker",
    "azure.identity",
    "azure.servicebus",
    "azure.cosmos",
    "azure.functions.DurableFunctions",
    "durabletask",
    "grpc",
    "grpc._cython",
    "httpcore2",
    "httpx2",
    "openai",
    "proton",
)
# The names of `host.json`'s `logging.logLevel`, which are those of .NET.
LEVELS: Final = {
    "Trace": logging.DEBUG,
    "Debug": logging.DEBUG,
    "Information": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
    "None": logging.CRITICAL + 1,
}
_COLOURS: Final = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31;1"}
_SHORTER: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class HumanFormatter(logging.Formatter):
    """`12:34:56.789 WARN  message`; the logger is named when it is not the host's own."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour
        self._second: tuple[int, str] = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback after it when there is one."""
        level = _SHORTER.get(record.levelname, record.levelname)
        who = "" if record.name.startswith("devhost") else f"[{record.name}] "
        line = f"{self._time(record)} {level:5} {who}{record.getMessage()}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        code = _COLOURS.get(record.levelno) if self._colour else None
        return f"\x1b[{code}m{line}\x1b[0m" if code else line

    def _time(self, record: logging.LogRecord) -> str:
        """Local time with milliseconds; the lines of one second share their first part."""
        second = int(record.created)
        if second != self._second[0]:
            self._second = (second, time.strftime("%H:%M:%S", time.localtime(second)))
        return f"{self._second[1]}.{int((record.created - second) * 1000):03}"


class JsonFormatter(logging.Formatter):
    """One JSON object: `time` (UTC, ISO 8601), `level`, `logger`, `message`, and the record's `extra` fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


def set_up_logging(*, json_lines: bool, verbose: bool, colour: bool, stream: TextIO | None = None) -> None:
    """Send every logger of the process to `stream` (standard error unless told otherwise)."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if json_lines else HumanFormatter(colour=colour))
    handler.addFilter(_worker_report(verbose=verbose))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
    logging.captureWarnings(capture=True)


def set_app_level(level: str) -> None:
    """Hear the app's loggers from `level` on, which is one of `LEVELS`; what the host says of itself stays."""
    logging.getLogger().setLevel(LEVELS[level])
    logging.getLogger("devhost").setLevel(logging.INFO)


def _worker_report(*, verbose: bool) -> logging.Filter:
    runtime = f"{os.sep}azure_functions_runtime{os.sep}"

    class _WorkerReport(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return verbose or runtime not in record.pathname or record.levelno == logging.WARNING

    return _WorkerReport()
