"""What was counted: operations of runs, by what each service bills; saved as JSON, so that they serve often.

Everything here is a count or a size that was taken where it happened; nothing is a price, and nothing an estimate.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

type Count = Annotated[int, Field(ge=0)]
type Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_FORMAT = 1


class CountsRefused(Exception):
    """The file holds no counts. The text says in one line what is wrong, and where."""


class Frozen(BaseModel):
    """A value that is read from a file: fields nobody knows are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Execution(Frozen):
    """One call of a function: how long it took here, and how often it asked a model meanwhile."""

    function: str
    seconds: Seconds
    model_calls: Count = 0


class BusCounts(Frozen):
    """Service Bus: calls of its API.

    `transfers` are the batches that the app handed over, `transfer_operations` the same with each 64 KiB counted, and
    `messages` what was in them. The other five are calls of the triggers' receivers: messages that were delivered
    (`delivery_operations` counts each 64 KiB) and how they were settled, and renewed locks.
    """

    transfers: Count = 0
    transfer_operations: Count = 0
    messages: Count = 0
    deliveries: Count = 0
    delivery_operations: Count = 0
    completed: Count = 0
    abandoned: Count = 0
    renewed: Count = 0


class StoreCounts(Frozen):
    """Cosmos DB: requests by kind, and the size in bytes of each document that the run left, as JSON.

    `charged` is what the account charged in all, in request units; None when the server that was used charges nothing.
    """

    requests: Mapping[str, Count] = {}
    documents: tuple[Count, ...] = ()
    charged: Seconds | None = None


class ArtifactCounts(Frozen):
    """Artifacts: how often one was stored and read, and how many bytes were stored."""

    puts: Count = 0
    gets: Count = 0
    bytes: Count = 0


class DurableCounts(Frozen):
    """Orchestrations, by the events of their histories.

    `started` counts those that were begun, nested ones too, and `turns` how often an orchestrator was run. `events` is
    everything in the histories. `bytes` is how long they are.
    """

    started: Count = 0
    tasks: Count = 0
    task_results: Count = 0
    nested_results: Count = 0
    timers_fired: Count = 0
    events_raised: Count = 0
    interventions: Count = 0
    turns: Count = 0
    events: Count = 0
    bytes: Count = 0


class ModelCounts(Frozen):
    """Calls of the language model, and the tokens that its answers say were used."""

    calls: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0


class LogCounts(Frozen):
    """What the app and the host logged: records, and their length as JSON lines."""

    records: Count = 0
    bytes: Count = 0


class TelemetryCounts(Frozen):
    """Spans that the app and the host exported over OTLP, points of metrics, and their length there."""

    spans: Count = 0
    span_bytes: Count = 0
    points: Count = 0
    point_bytes: Count = 0


class Counts(Frozen):
    """Everything that was counted between two moments."""

    executions: tuple[Execution, ...] = ()
    bus: BusCounts = BusCounts()
    store: StoreCounts = StoreCounts()
    artifacts: ArtifactCounts = ArtifactCounts()
    durable: DurableCounts = DurableCounts()
    model: ModelCounts = ModelCounts()
    log: LogCounts = LogCounts()
    telemetry: TelemetryCounts = TelemetryCounts()


class PatternCounts(Frozen):
    """One pattern: what each of its measured runs took, from the request that started it until nothing happened any
    more, and what it took to look at one of them once with `GET task/{id}`.
    """

    request: Mapping[str, object]
    runs: tuple[Counts, ...] = Field(min_length=1)
    look: Counts


class Measurement(Frozen):
    """What one call of `make cost` measured, with the model that answered and the store that kept the runs.

    `besides` is what was counted outside of these runs and looks, each pattern's first run among it: with it, nothing
    that happened is missing.
    """

    format: int = Field(default=_FORMAT, ge=_FORMAT, le=_FORMAT)
    measured_at: datetime
    model: str
    state: str
    patterns: Mapping[str, PatternCounts] = Field(min_length=1)
    besides: tuple[Counts, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """What an earlier `make cost` saved. Raises `CountsRefused`."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise CountsRefused(f"{path} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            raise CountsRefused(f"{path}: {first_fault(error)}") from None

    def write(self, path: Path) -> None:
        """Save it for `read`."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong, with the name of its field."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
