"""The price table: what each thing that is counted costs, as of a day, with where that is from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from scripts.cost.counts import Frozen

PRICES = Path(__file__).parent / "prices.toml"

type Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
type Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
type Source = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Meter(StrEnum):
    """What is counted on a bill."""

    FUNCTION_EXECUTIONS = "function_executions"
    FUNCTION_GB_SECONDS = "function_gb_seconds"
    ALWAYS_READY_GB_SECONDS = "always_ready_gb_seconds"
    SERVICE_BUS_BASE = "service_bus_base"
    SERVICE_BUS_PREMIUM_HOURS = "service_bus_premium_hours"
    SERVICE_BUS_OPERATIONS = "service_bus_operations"
    COSMOS_REQUEST_UNITS = "cosmos_request_units"
    COSMOS_GB_MONTHS = "cosmos_gb_months"
    SCHEDULER_ACTIONS = "scheduler_actions"
    QUEUE_OPERATIONS = "queue_operations"
    TABLE_OPERATIONS = "table_operations"
    BLOB_WRITES = "blob_writes"
    BLOB_READS = "blob_reads"
    BLOB_GB_MONTHS = "blob_gb_months"
    LOG_GIGABYTES = "log_gigabytes"
    METRIC_ALERT_SERIES = "metric_alert_series"
    LOG_ALERT_RULES = "log_alert_rules"
    PRIVATE_ENDPOINT_HOURS = "private_endpoint_hours"
    PRIVATE_ZONES = "private_zones"


class TokenMeter(StrEnum):
    """What is counted of a language model; its price is the model's."""

    INPUT = "input"
    CACHED = "cached"
    OUTPUT = "output"


class Assumption(StrEnum):
    """What stands between a count and what is billed for it, and cannot be counted here."""

    READ_UNITS = "read_units"
    READ_UNITS_PER_KB = "read_units_per_kb"
    CREATE_UNITS = "create_units"
    CREATE_UNITS_PER_KB = "create_units_per_kb"
    PATCH_UNITS = "patch_units"
    PATCH_UNITS_PER_KB = "patch_units_per_kb"
    DELETE_UNITS = "delete_units"
    QUERY_UNITS = "query_units"
    QUERY_UNITS_PER_KB = "query_units_per_kb"
    EMPTY_RECEIVES_PER_DELIVERY = "empty_receives_per_delivery"
    POLLS_PER_HOUR = "polls_per_hour"
    STORAGE_POLLS_PER_HOUR = "storage_polls_per_hour"
    QUEUE_OPERATIONS_PER_ACTION = "queue_operations_per_action"
    TABLE_OPERATIONS_PER_TURN = "table_operations_per_turn"
    LOG_SHARE = "log_share"
    LOG_BYTES_PER_ROW = "log_bytes_per_row"


@dataclass(frozen=True, slots=True)
class Range:
    """Between `low` and `high`, which are the same when it is known."""

    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Self:
        """A value that is known."""
        return cls(value, value)

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> "Range":
        """Both ends, so often."""
        return Range(self.low * factor, self.high * factor)


class Between(Frozen):
    """Two ends that are in order."""

    low: Amount
    high: Amount

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low is {self.low:g}, over high, which is {self.high:g}")
        return self

    @property
    def range(self) -> Range:
        """As a range."""
        return Range(self.low, self.high)


class Tier(Between):
    """Another price for what is above an amount."""

    above: Amount


class Price(Between):
    """The price of `per` units, in dollars; see the head of `prices.toml`."""

    service: Source
    what: Source
    per: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    free: Amount = 0
    free_of: Literal["subscription", "namespace"] = "subscription"
    tiers: tuple[Tier, ...] = ()
    source: Source

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        steps = [self.free, *(tier.above for tier in self.tiers)]
        if steps != sorted(steps):
            raise ValueError("tiers must be in the order of their amounts, and above what is free")
        return self

    def cost(self, quantity: Range, *, free: bool) -> Range:
        """Dollars for a quantity, after what is free if that is to be had. Neither end falls as its quantity grows."""
        low = [(self.free if free else 0.0, self.low), *((tier.above, tier.low) for tier in self.tiers)]
        high = [(self.free if free else 0.0, self.high), *((tier.above, tier.high) for tier in self.tiers)]
        return Range(_stepped(quantity.low, low) / self.per, _stepped(quantity.high, high) / self.per)


class ModelPrice(Frozen):
    """Dollars for a million tokens."""

    input: Dollars
    cached: Dollars
    output: Dollars
    source: Source


class Assumed(Between):
    """A figure that is assumed, and why that one."""

    source: Source


class PriceTable(Frozen):
    """Everything that is needed to turn counts into dollars."""

    as_of: date
    currency: Literal["USD"]
    prices: Mapping[Meter, Price]
    models: Mapping[str, ModelPrice]
    assumptions: Mapping[Assumption, Assumed]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for kind, wanted, given in (("prices", Meter, self.prices), ("assumptions", Assumption, self.assumptions)):
            missing = [str(each) for each in wanted if each not in given]
            if missing:
                raise ValueError(f"{kind}.{missing[0]} is missing")
        return self

    def assumed(self, assumption: Assumption) -> Range:
        """An assumption's two ends."""
        return self.assumptions[assumption].range


def _stepped(quantity: float, steps: Sequence[tuple[float, float]]) -> float:
    """The price of each part of a quantity, by the step that it falls on; below the first it is free."""
    ends = [*(above for above, _ in steps[1:]), float("inf")]
    return sum(max(0.0, min(quantity, end) - above) * price for (above, price), end in zip(steps, ends, strict=True))
