"""What telemetry costs a run: the time of a span and of a measure, switched off and switched on.

Switched on it is measured with exporters that throw everything away, at the pace of the SDK's own threads.
"""

import time
from collections.abc import Callable, Sequence

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from bench.table import print_table
from shared.telemetry import names
from shared.telemetry.attributes import AGENT, ATTEMPT, STEP_ID, TASK_ID
from shared.telemetry.off import OFF
from shared.telemetry.otel.adapter import OpenTelemetry
from shared.telemetry.telemetry import Attributes, Measure, Telemetry

TIMES = 20_000
ROUNDS = 5
ABOUT: Attributes = {TASK_ID: "run-1", STEP_ID: "research", AGENT: "research", ATTEMPT: 1}


class _Nowhere(SpanExporter):
    """An exporter that throws away what it is given."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        """Take them, and keep none."""
        return SpanExportResult.SUCCESS


def measure() -> None:
    """Print the table."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(_Nowhere()))
    on = OpenTelemetry(tracers, MeterProvider([InMemoryMetricReader()]))
    rows = [
        [name, *(f"{_best(work, telemetry):.2f} us" for telemetry in (OFF, on))]
        for name, work in (("a span with four attributes", _span), ("a measure with one attribute", _measure))
    ]
    print_table(f"What telemetry costs a run (best of {ROUNDS} times {TIMES})", ["", "off", "on"], rows)
    tracers.shutdown()


def _span(telemetry: Telemetry) -> None:
    with telemetry.span(names.INVOKE_AGENT, "research", attributes=ABOUT):
        pass


def _measure(telemetry: Telemetry) -> None:
    telemetry.record(Measure(names.COST, 0.001, {AGENT: "research"}) for _ in range(1))


def _best(work: Callable[[Telemetry], None], telemetry: Telemetry) -> float:
    """Microseconds for one time, in the best round."""
    rounds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(TIMES):
            work(telemetry)
        rounds.append((time.perf_counter() - begun) / TIMES * 1e6)
    return min(rounds)
