"""A run as one JSON file: everything the state store knows of it, to be kept or taken into another store."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, JsonValue, ValidationError

from shared.artifacts.addresses import addresses_in
from shared.artifacts.store import ArtifactStore, parse_address, verified
from shared.contracts import ArtifactRef, Contract
from shared.errors import ArtifactCorrupted, Conflict, InvalidRequest, NotFound, StateCorrupted
from shared.state.documents import RunRecord
from shared.state.events import EventLog
from shared.state.projection import replay, replayed

MAX_ARTIFACTS_BYTES = 64 * 1024 * 1024
"""The file is made and read in memory."""

_UNKNOWN_TYPE = "application/octet-stream"


class ExportedArtifact(Contract):
    """An artifact that the run refers to. `content` is base64; when it could not be read, `missing` says why."""

    address: str
    content: str | None = None
    missing: str | None = None


class RunExport(Contract):
    """A run's log, for whoever reads the file what the log adds up to, and the artifacts that it refers to."""

    format: Literal["muster-run"] = "muster-run"
    version: Literal[1] = 1
    exported_at: AwareDatetime
    record: RunRecord
    log: EventLog
    artifacts: tuple[ExportedArtifact, ...] = ()


async def export_of(log: EventLog, now: datetime, artifacts: ArtifactStore | None) -> RunExport:
    """The file of a run, with its artifacts if there is a store to take them from.

    An artifact that is gone or damaged is named in it and holds up nothing.

    Raises `StateCorrupted` when the log is no log of one run, `Conflict` when its artifacts have over
    `MAX_ARTIFACTS_BYTES` together, and `StoreUnavailable`.
    """
    kept = await _artifacts_of(log, artifacts) if artifacts is not None else ()
    return RunExport(exported_at=now, record=replayed(log), log=log, artifacts=kept)


async def _artifacts_of(log: EventLog, artifacts: ArtifactStore) -> tuple[ExportedArtifact, ...]:
    kept: list[ExportedArtifact] = []
    room = MAX_ARTIFACTS_BYTES
    for address in dict.fromkeys(addresses_in(log.model_dump(mode="json"))):
        try:
            content = await artifacts.get(address)
        except (NotFound, ArtifactCorrupted) as error:
            kept.append(ExportedArtifact(address=address, missing=str(error)))
            continue
        room -= len(content)
        if room < 0:
            raise Conflict(f"the run's artifacts have over {MAX_ARTIFACTS_BYTES} bytes: export it without them")
        kept.append(ExportedArtifact(address=address, content=b64encode(content).decode()))
    return tuple(kept)


async def restore_artifacts(export: RunExport, artifacts: ArtifactStore) -> int:
    """Store the artifacts of a file at their addresses and return how many there were.

    Raises `ArtifactCorrupted` when one is not what its address says, and what `ArtifactStore.put_at` raises.
    """
    types = {each.address: each.content_type for each in _references(export.log.model_dump(mode="json"))}
    count = 0
    for each in export.artifacts:
        if each.content is not None:
            await artifacts.put_at(each.address, b64decode(each.content), types.get(each.address, _UNKNOWN_TYPE))
            count += 1
    return count


def _references(value: JsonValue) -> Iterator[ArtifactRef]:
    """The references with their content types; an address that stands alone says none."""
    if isinstance(value, dict):
        try:
            yield ArtifactRef.model_validate(value)
        except ValidationError:
            for each in value.values():
                yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def read_export(content: bytes) -> RunExport:
    """The run in a file. Raises `InvalidRequest`, which says what is wrong with the file and where."""
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
    for each in export.artifacts:
        _check_artifact(each)
    return export


def _check_artifact(artifact: ExportedArtifact) -> None:
    try:
        place = parse_address(artifact.address)
        if artifact.content is not None:
            verified(b64decode(artifact.content, validate=True), place)
    except (InvalidRequest, ArtifactCorrupted, ValueError) as error:
        raise InvalidRequest(f"the file was changed after it was written: {error}", field="artifacts") from None
