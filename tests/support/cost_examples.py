"""Counts, prices and profiles for the tests of `make cost`."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import strategies as st

from scripts.cost.counts import (
    ArtifactCounts,
    BusCounts,
    Counts,
    DurableCounts,
    Execution,
    LogCounts,
    Measurement,
    ModelCounts,
    PatternCounts,
    StoreCounts,
    TelemetryCounts,
)
from scripts.cost.prices import PRICES, PriceTable, Range
from scripts.cost.profile import DEFAULT, Profile, read_profile
from scripts.cost.standing import Deployed
from scripts.cost.toml_file import read_toml

REQUESTS = ("read", "create", "patch", "delete", "query")
DEPLOYED = Deployed(triggered=30, watched=27, log_alert_rules=2, endpoints=Range(5, 7))


def the_prices() -> PriceTable:
    """The table that is shipped."""
    return read_toml(PRICES, PriceTable)


def the_profile(**changes: Any) -> Profile:
    """The default profile, with fields exchanged by their path: `deployment__private_network=True`."""
    given = read_profile(DEFAULT).model_dump(mode="json")
    for path, value in changes.items():
        *groups, name = path.split("__")
        place = given
        for group in groups:
            place = place[group]
        place[name] = value
    return Profile.model_validate(given)


def some_counts(**changes: Any) -> Counts:
    """What one run may take; every count is there and differs from the others."""
    fields: dict[str, Any] = {
        "executions": (Execution(function="a", seconds=0.25, model_calls=2), Execution(function="b", seconds=0.01)),
        "bus": BusCounts(
            transfers=3,
            transfer_operations=4,
            messages=5,
            deliveries=6,
            delivery_operations=7,
            completed=8,
            abandoned=9,
            renewed=10,
        ),
        "store": StoreCounts(
            requests={"read": 2, "create": 3, "patch": 4, "delete": 1, "query": 1}, documents=(4096, 2048)
        ),
        "artifacts": ArtifactCounts(puts=2, gets=3, bytes=50_000),
        "durable": DurableCounts(
            started=2,
            tasks=5,
            task_results=4,
            nested_results=1,
            timers_fired=3,
            events_raised=7,
            interventions=1,
            turns=12,
            events=48,
            bytes=20_000,
        ),
        "model": ModelCounts(calls=2, input_tokens=700, output_tokens=90),
        "log": LogCounts(records=27, bytes=9_000),
        "telemetry": TelemetryCounts(spans=30, span_bytes=6_000, points=20, point_bytes=2_000),
    }
    return Counts(**(fields | changes))


def a_measurement(counts: Counts | None = None) -> Measurement:
    """The same counts for every pattern of the default profile."""
    counted = PatternCounts(request={}, runs=(counts or some_counts(),), look=Counts())
    return Measurement(
        measured_at=datetime(2026, 1, 1, tzinfo=UTC),
        model="offline-model",
        state="cosmos",
        patterns=dict.fromkeys(the_profile().mix, counted),
    )


def about(low: float, high: float | None = None) -> Any:
    """A range that equals one whose ends are those but for rounding."""
    return Range(pytest.approx(low), pytest.approx(low if high is None else high))  # type: ignore[arg-type]


number = st.integers(min_value=0, max_value=10**7)
executions = st.builds(
    Execution,
    function=st.just("f"),
    seconds=st.floats(min_value=0, max_value=1000),
    model_calls=st.integers(min_value=0, max_value=20),
)


def _all_of(contract: Any) -> st.SearchStrategy[Any]:
    return st.builds(contract, **dict.fromkeys(contract.model_fields, number))


counts = st.builds(
    Counts,
    executions=st.lists(executions, max_size=4).map(tuple),
    bus=_all_of(BusCounts),
    store=st.builds(
        StoreCounts,
        requests=st.fixed_dictionaries(dict.fromkeys(REQUESTS, number)),
        documents=st.lists(number, max_size=4).map(tuple),
        charged=st.just(None),
    ),
    artifacts=_all_of(ArtifactCounts),
    durable=_all_of(DurableCounts),
    model=_all_of(ModelCounts),
    log=_all_of(LogCounts),
    telemetry=_all_of(TelemetryCounts),
)
"""Any counts of one run."""

places = st.sampled_from(
    [
        (group, name)
        for group, contract in (
            ("bus", BusCounts),
            ("artifacts", ArtifactCounts),
            ("durable", DurableCounts),
            ("model", ModelCounts),
            ("log", LogCounts),
            ("telemetry", TelemetryCounts),
        )
        for name in contract.model_fields
    ]
    + [("requests", kind) for kind in REQUESTS]
)
"""Where a count stands."""


def more(given: Counts, place: tuple[str, str], by: int) -> Counts:
    """The same counts, with one of them higher."""
    group, name = place
    if group == "requests":
        raised = {**given.store.requests, name: given.store.requests.get(name, 0) + by}
        return given.model_copy(update={"store": given.store.model_copy(update={"requests": raised})})
    part = getattr(given, group)
    return given.model_copy(update={group: part.model_copy(update={name: getattr(part, name) + by})})
