"""From counts to what is billed: pure functions, no dollars yet. Each end of a range grows with every count."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.cost.counts import Counts, Execution, StoreCounts
from scripts.cost.prices import Assumption, Meter, PriceTable, Range, TokenMeter
from scripts.cost.profile import Deployment, ModelUse, Profile

type Billed = Meter | TokenMeter
type Usage = Mapping[Billed, Range]

MIN_SECONDS = 1.0
"""Flex Consumption bills an execution for this long at least, if nothing else runs on its instance."""
STEPS_PER_SECOND = 10
KB = 1024
GB = 10**9
DAYS_PER_MONTH = 30.4
_UNITS: Mapping[str, tuple[Assumption, Assumption | None]] = {
    "read": (Assumption.READ_UNITS, Assumption.READ_UNITS_PER_KB),
    "create": (Assumption.CREATE_UNITS, Assumption.CREATE_UNITS_PER_KB),
    "patch": (Assumption.PATCH_UNITS, Assumption.PATCH_UNITS_PER_KB),
    "delete": (Assumption.DELETE_UNITS, None),
    "query": (Assumption.QUERY_UNITS, Assumption.QUERY_UNITS_PER_KB),
}


class UncountedRequest(Exception):
    """The store was asked something whose price nobody has said. The text names it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts are turned into usage by: how the app is used and deployed, and what has to be assumed."""

    profile: Profile
    table: PriceTable

    def usage(self, counts: Counts) -> Usage:
        """What `counts` come to on the meters of a bill. Raises `UncountedRequest`."""
        deployment = self.profile.deployment
        return {
            **tokens(counts, self.profile.model),
            Meter.FUNCTION_EXECUTIONS: Range.exactly(len(counts.executions)),
            Meter.FUNCTION_GB_SECONDS: gb_seconds(counts.executions, self.profile),
            **self._bus(counts, deployment),
            Meter.COSMOS_REQUEST_UNITS: request_units(counts.store, self.table),
            Meter.COSMOS_GB_MONTHS: _kept(sum(counts.store.documents), deployment),
            **self._durable(counts, deployment),
            Meter.BLOB_WRITES: Range.exactly(counts.artifacts.puts),
            Meter.BLOB_READS: Range.exactly(counts.artifacts.gets),
            Meter.BLOB_GB_MONTHS: _kept(counts.artifacts.bytes, deployment),
            Meter.LOG_GIGABYTES: self._logs(counts),
        }

    def _bus(self, counts: Counts, deployment: Deployment) -> Usage:
        if deployment.private_network:
            return {}
        bus, empty = counts.bus, self.table.assumed(Assumption.EMPTY_RECEIVES_PER_DELIVERY)
        received = bus.delivery_operations + bus.completed + bus.abandoned + bus.renewed
        # The service's own words leave open whether a batch is one operation or as many as its messages.
        sent = Range(bus.transfer_operations, max(bus.transfer_operations, bus.messages))
        return {Meter.SERVICE_BUS_OPERATIONS: sent + Range.exactly(received) + empty.times(bus.deliveries)}

    def _durable(self, counts: Counts, deployment: Deployment) -> Usage:
        done = actions(counts)
        if deployment.durable_backend == "scheduler":
            return {Meter.SCHEDULER_ACTIONS: Range.exactly(done)}
        return {
            Meter.QUEUE_OPERATIONS: self.table.assumed(Assumption.QUEUE_OPERATIONS_PER_ACTION).times(done),
            Meter.TABLE_OPERATIONS: self.table.assumed(Assumption.TABLE_OPERATIONS_PER_TURN).times(
                counts.durable.turns
            ),
        }

    def _logs(self, counts: Counts) -> Range:
        exported = counts.telemetry
        rows = counts.log.records + exported.spans + exported.points
        size = counts.log.bytes + exported.span_bytes + exported.point_bytes
        sent = self.table.assumed(Assumption.LOG_SHARE).times(size)
        return (sent + self.table.assumed(Assumption.LOG_BYTES_PER_ROW).times(rows)).times(1 / GB)


def tokens(counts: Counts, use: ModelUse) -> Usage:
    """Tokens in, from the provider's cache, and out."""
    calls = counts.model.calls
    given = counts.model.input_tokens if use.input_tokens == "measured" else calls * use.input_tokens
    answered = counts.model.output_tokens if use.output_tokens == "measured" else calls * use.output_tokens
    return {
        TokenMeter.INPUT: Range.exactly(given * (1 - use.cached_share)),
        TokenMeter.CACHED: Range.exactly(given * use.cached_share),
        TokenMeter.OUTPUT: Range.exactly(answered),
    }


def gb_seconds(executions: Iterable[Execution], profile: Profile) -> Range:
    """Memory by time, each execution in steps of a tenth of a second.

    The low end is that of an instance which others keep busy, `executions_at_once` of them, so that there is no least
    time. The high end is that of executions that have an instance to themselves.
    """
    low = high = 0.0
    for each in executions:
        seconds = each.seconds + each.model_calls * profile.model.seconds_per_call
        billed = math.ceil(round(seconds * STEPS_PER_SECOND, 6)) / STEPS_PER_SECOND
        low += billed
        high += max(MIN_SECONDS, billed)
    gigabytes = profile.deployment.instance_mb / 1024
    return Range(low / profile.deployment.executions_at_once * gigabytes, high * gigabytes)


def request_units(store: StoreCounts, table: PriceTable) -> Range:
    """What Cosmos DB charges: as it said, or after the published figures for each kind of request.

    The low end takes every document for one of 1 KB, the high end for one of the mean size that the run has left, and a
    query for one that looks at all of them. Raises `UncountedRequest`.
    """
    if store.charged is not None:
        return Range.exactly(store.charged)
    every = sum(store.documents) / KB
    mean = every / len(store.documents) if store.documents else 0.0
    total = Range.exactly(0)
    for kind, number in store.requests.items():
        if kind not in _UNITS:
            raise UncountedRequest(f"nobody has said what a {kind} of Cosmos DB costs")
        base, per_kb = _UNITS[kind]
        total += table.assumed(base).times(number)
        if per_kb is not None:
            total += table.assumed(per_kb).times(number * (every if kind == "query" else mean))
    return total


def actions(counts: Counts) -> int:
    """What the Durable Task Scheduler bills: each message that it sends to the app.

    Source: "What is an action?" of Microsoft's Durable Task Scheduler billing page (2026-02-25).
    """
    durable = counts.durable
    begun = durable.started + durable.tasks
    answered = durable.task_results + durable.nested_results
    return begun + answered + durable.timers_fired + durable.events_raised + durable.interventions


def added(*usages: Usage) -> Usage:
    """The sum of usages, meter by meter."""
    total: dict[Billed, Range] = {}
    for usage in usages:
        for meter, quantity in usage.items():
            total[meter] = total.get(meter, Range.exactly(0)) + quantity
    return total


def scaled(usage: Usage, factor: float) -> Usage:
    """The same, so often."""
    return {meter: quantity.times(factor) for meter, quantity in usage.items()}


def _kept(size: int, deployment: Deployment) -> Range:
    """Bytes that are there for the retention, in GB for a month, once as much goes as comes."""
    return Range.exactly(size / GB * deployment.retention_days / DAYS_PER_MONTH)
