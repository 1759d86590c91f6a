"""Where OpenTelemetry's spans and metrics are sent: to any OTLP endpoint, or to Azure Monitor.

Both are sent from threads of the SDK, in batches, out of queues that drop what does not fit: an endpoint that is away
or slow costs no run anything. What else the SDK can be told (headers, sampling, intervals) it reads from the
environment variables that OpenTelemetry defines.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from shared.telemetry.logs import Seldom, WithoutMessages
from shared.telemetry.names import SERVICE

STOP_SECONDS = 5.0
"""How long the end of the process waits for what is left to be delivered."""

# They say of each batch, and of each try at it, that nobody listens.
_TALKATIVE = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
)
# Everything that the distribution would instrument by itself.
_INSTRUMENTED = (
    *("azure_sdk", "django", "fastapi", "flask", "httpx", "httpx2"),
    *("psycopg2", "requests", "urllib", "urllib3"),
)


class Exporting:
    """What stops the providers at the end of the process, and waits no longer than `within` seconds for that.

    The threads that do it are begun right away: at the end of a process none can be begun any more.
    """

    def __init__(self, stops: Sequence[Callable[[], object]], *, within: float = STOP_SECONDS) -> None:
        self._within = within
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._stop, args=(stop,), daemon=True) for stop in stops]
        for thread in self._threads:
            thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Deliver what is left and stop; doing so twice is doing it once."""
        atexit.unregister(self.stop)
        self._stopping.set()
        until = time.monotonic() + self._within
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _stop(self, stop: Callable[[], object]) -> None:
        self._stopping.wait()
        stop()


@dataclass(frozen=True, slots=True)
class Providers:
    """OpenTelemetry's providers, and what stops them."""

    tracers: trace.TracerProvider
    meters: metrics.MeterProvider
    exporting: Exporting


def over_otlp(endpoint: str) -> Providers:
    """Providers that send to an OTLP endpoint (protobuf over HTTP), given as its base URL.

    Spans that an agent makes itself, through OpenTelemetry's own API, go the same way unless the process had a provider
    before.
    """
    for exporter in _TALKATIVE:
        logging.getLogger(exporter).addFilter(Seldom())
    base = endpoint.rstrip("/")
    resource = _resource()
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{base}/v1/metrics"))
    meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(tracers)
        metrics.set_meter_provider(meters)
    return Providers(tracers, meters, Exporting([tracers.shutdown, meters.shutdown]))


def over_azure_monitor(connection_string: str, *, shows_content: bool = False) -> Providers:
    """Providers that send to Application Insights, by way of the Azure Monitor distribution.

    The distribution is configured once in a process: where the Functions worker has done so already, as
    `PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY` tells it to, its providers are used. The app's own log is sent too,
    because the host no longer does that for a worker which passes trace contexts on; unless `shows_content`, without
    what errors say. What libraries would tell of their own calls is left out.
    """
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        _configure_azure_monitor(connection_string)
    if not shows_content:
        _redact_logs()
    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    stops = [each.shutdown for each in (tracers, meters) if isinstance(each, TracerProvider | MeterProvider)]
    return Providers(tracers, meters, Exporting(stops))


def _configure_azure_monitor(connection_string: str) -> None:
    from azure.monitor.opentelemetry import configure_azure_monitor

    configure_azure_monitor(
        connection_string=connection_string,
        # The distribution would keep five spans a second, and with them a part of most traces.
        sampling_ratio=1.0,
        logger_name=SERVICE,
        enable_live_metrics=False,
        enable_performance_counters=False,
        instrumentation_options={name: {"enabled": False} for name in _INSTRUMENTED},
    )


def _redact_logs() -> None:
    """Let no log record leave with what an error says, whoever has set up that it leaves."""
    for logger in (logging.getLogger(), logging.getLogger(SERVICE)):
        for handler in logger.handlers:
            if isinstance(handler, LoggingHandler):
                handler.addFilter(WithoutMessages())


def _resource() -> Resource:
    """What says who sends: OpenTelemetry's environment variables, and the product's name where they name no service."""
    found = Resource.create()
    named = not str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return found if named else found.merge(Resource({SERVICE_NAME: SERVICE}))
