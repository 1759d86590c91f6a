"""A run as one JSON file: everything the state store knows of it, to be kept or taken into another store."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, ValidationError

from shared.contracts import Contract
from shared.errors import InvalidRequest, StateCorrupted
from shared.state.documents import RunRecord
from shared.state.events import EventLog
from shared.state.projection import replay, replayed


class RunExport(Contract):
    """A run's log, and for whoever reads the file what the log adds up to. Large values are in it whole."""

    format: Literal["muster-run"] = "muster-run"
    version: Literal[1] = 1
    exported_at: AwareDatetime
    record: RunRecord
    log: EventLog


def export_of(log: EventLog, now: datetime) -> RunExport:
    """The file of a run. Raises `StateCorrupted` when the log is no log of one run."""
    return RunExport(exported_at=now, record=replayed(log), log=log)


def read_export(content: bytes) -> EventLog:
    """The log in a file. Raises `InvalidRequest`, which says what is wrong with the file and where."""
    try:
        export = RunExport.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidRequest(f"this is no exported run: {where}: {first['msg']}", field=where) from None
    try:
        adds_up = replay(export.log.events) == export.record and export.record.run.task_id == export.log.task_id
    except StateCorrupted as error:
        raise InvalidRequest(f"the file was changed after it was written: {error}") from None
    if not adds_up:
        raise InvalidRequest("the file was changed after it was written: its record is not what its log adds up to")
    return export.log
