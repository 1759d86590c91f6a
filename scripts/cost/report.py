"""A bill as tables for people, and as JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from scripts.cost.alternatives import Alternative
from scripts.cost.counts import Measurement
from scripts.cost.estimate import RUNS, Bill, Line, PatternCost, by_service, dominant, total_of
from scripts.cost.prices import Meter, Range, TokenMeter
from scripts.cost.profile import Profile

WIDTH = 118
SHOWN_FROM = 0.01
"""Dollars below this are told apart from nothing, and from nothing else."""
_SHOWN: Mapping[str, tuple[Meter | TokenMeter, ...]] = {
    "executions": (Meter.FUNCTION_EXECUTIONS,),
    "GB-s": (Meter.FUNCTION_GB_SECONDS,),
    "bus ops": (Meter.SERVICE_BUS_OPERATIONS,),
    "RU": (Meter.COSMOS_REQUEST_UNITS,),
    "actions": (Meter.SCHEDULER_ACTIONS,),
    "storage ops": (Meter.QUEUE_OPERATIONS, Meter.TABLE_OPERATIONS, Meter.BLOB_WRITES, Meter.BLOB_READS),
    "tokens in": (TokenMeter.INPUT, TokenMeter.CACHED),
    "tokens out": (TokenMeter.OUTPUT,),
    "log KB": (Meter.LOG_GIGABYTES,),
}
_KB_PER_GB = 1_000_000


def show(
    console: Console,
    bill: Bill,
    measurement: Measurement,
    profile: Profile,
    name: str,
    others: Sequence[Alternative] = (),
) -> None:
    """Print everything there is to say of a bill, and of what it would be with other choices."""
    measured = f"{measurement.measured_at:%Y-%m-%d %H:%M} UTC"
    console.print(f"Profile   {name}: {profile.description}", soft_wrap=True)
    console.print(f"Prices    US dollars, list, as of {bill.as_of}; where sources differ, from low to high")
    console.print(f"Counted   on the local host, {measured}, state in {measurement.state}, {_model(profile)}\n")
    console.print(_per_run(bill.patterns))
    console.print(_per_thousand(bill.patterns))
    console.print(_lines("A month in which nothing runs", bill.idle))
    console.print(_lines(f"A month with {profile.runs_per_month:,} runs", bill.month))
    console.print(_others(others, total_of(bill.month)))
    for what, of in ((f"{RUNS:,} runs of {each.pattern}", each.lines) for each in bill.patterns):
        console.print(f"{what}: {dominates(of)}", soft_wrap=True)
    console.print(f"The month: {dominates(bill.month)}", soft_wrap=True)
    for line in unsettled(bill.month):
        console.print(f"Unsettled: {line.what}, {dollars(line.cost)} dollars; prices.toml says why", soft_wrap=True)
    console.print()


def as_json(bill: Bill, measurement: Measurement, profile: Profile) -> str:
    """The same for programs: dollars and quantities as `low` and `high`."""
    whole: dict[str, Any] = {
        "as_of": bill.as_of.isoformat(),
        "measured_at": measurement.measured_at.isoformat(),
        "profile": profile.model_dump(mode="json"),
        "idle": _data(bill.idle),
        "month": _data(bill.month),
        f"per_{RUNS}_runs": {each.pattern: _data(each.lines) for each in bill.patterns},
    }
    return json.dumps(whole, indent=2)


def dominates(bill: Sequence[Line]) -> str:
    """What costs most, in words."""
    found = dominant(bill)
    if found is None:
        return "nothing costs anything"
    if found.low == found.high:
        ends = sorted((found.low_share, found.high_share))
        shares = f"{ends[0]:.0%}" if f"{ends[0]:.0%}" == f"{ends[1]:.0%}" else f"{ends[0]:.0%} to {ends[1]:.0%}"
        return f"{found.low} dominates with {shares}"
    low, high = f"{found.low} with {found.low_share:.0%}", f"{found.high} with {found.high_share:.0%}"
    return f"at the low end {low} dominates, at the high end {high}"


def unsettled(bill: Sequence[Line]) -> Sequence[Line]:
    """What may cost ten times as much as it may, and more than a dollar."""
    return [line for line in bill if line.cost.high > max(1.0, 10 * line.cost.low)]


def dollars(cost: Range) -> str:
    """Dollars and cents, `low-high` where they differ."""
    return _between(_amount(cost.low), _amount(cost.high))


def quantity(amount: Range) -> str:
    """A quantity, rounded to what one can take in."""
    return _between(_rounded(amount.low), _rounded(amount.high))


def _per_run(patterns: Iterable[PatternCost]) -> Table:
    table = _table("What one run takes on average, looks at it included")
    patterns = tuple(patterns)
    used = {title: [_sum(each.lines, meters) for each in patterns] for title, meters in _SHOWN.items()}
    used = {title: amounts for title, amounts in used.items() if any(amount.high for amount in amounts)}
    for heading in ("pattern", *used):
        table.add_column(heading, justify="left" if heading == "pattern" else "right", no_wrap=True)
    for number, each in enumerate(patterns):
        table.add_row(each.pattern, *(quantity(amounts[number].times(1 / RUNS)) for amounts in used.values()))
    return table


def _per_thousand(patterns: Sequence[PatternCost]) -> Table:
    table = _table(f"What {RUNS:,} runs cost in dollars, nothing being free")
    services = list(dict.fromkeys(line.service for each in patterns for line in each.lines))
    for heading in ("pattern", *services, "total"):
        table.add_column(heading, justify="left" if heading == "pattern" else "right", no_wrap=True)
    for each in patterns:
        sums = by_service(each.lines)
        cells = (dollars(sums[service]) if service in sums else "-" for service in services)
        table.add_row(each.pattern, *cells, dollars(each.total))
    return table


def _lines(title: str, bill: Sequence[Line]) -> Table:
    table = _table(title)
    for heading in ("service", "what", "quantity", "dollars"):
        table.add_column(heading, justify="right" if heading in ("quantity", "dollars") else "left", no_wrap=True)
    for line in bill:
        table.add_row(line.service, line.what, quantity(line.quantity), dollars(line.cost))
    table.add_section()
    table.add_row("total", "", "", dollars(total_of(bill)))
    return table


def _others(others: Sequence[Alternative], month: Range) -> Table:
    table = _table("The same month with one thing chosen otherwise")
    for heading in ("choice", "dollars", "more or less"):
        table.add_column(heading, justify="left" if heading == "choice" else "right", no_wrap=True)
    for each in others:
        low, high = each.month.low - month.low, each.month.high - month.high
        table.add_row(each.choice, dollars(each.month), f"{_signed(low)} to {_signed(high)}")
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)


def _sum(lines: Sequence[Line], meters: Sequence[Meter | TokenMeter]) -> Range:
    total = Range.exactly(0)
    for line in lines:
        if line.meter in meters:
            total += line.quantity.times(_KB_PER_GB if line.meter is Meter.LOG_GIGABYTES else 1)
    return total


def _model(profile: Profile) -> str:
    use = profile.model
    if "measured" in (use.input_tokens, use.output_tokens):
        return "tokens as the offline model counts them: no real model's"
    return f"tokens a call from the profile ({use.input_tokens:,} in, {use.output_tokens:,} out)"


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low}-{high}"


def _amount(value: float) -> str:
    if 0 < value < SHOWN_FROM:
        return f"<{SHOWN_FROM}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+.2f}"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.2g}"


def _data(lines: Sequence[Line]) -> dict[str, Any]:
    total, found = total_of(lines), dominant(lines)
    return {
        "lines": [asdict(line) for line in lines],
        "total": asdict(total),
        "dominates": None if found is None else asdict(found),
    }
