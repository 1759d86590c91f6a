"""Which telemetry the settings choose."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.telemetry import names
from shared.telemetry.attributes import TASK_ID
from shared.telemetry.choice import chosen_telemetry
from shared.telemetry.off import OFF
from shared.telemetry.telemetry import Measure


@pytest.mark.parametrize(
    "settings",
    [{}, {"MUSTER_TELEMETRY": "off", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}],
    ids=["nothing set", "switched off"],
)
def test_without_a_place_to_send_to_telemetry_is_off(settings: dict[str, str]) -> None:
    assert chosen_telemetry(Settings.read(settings)) is OFF


@pytest.mark.parametrize(
    ("where", "missing"),
    [("otlp", "OTEL_EXPORTER_OTLP_ENDPOINT"), ("azure-monitor", "APPLICATIONINSIGHTS_CONNECTION_STRING")],
)
def test_telemetry_that_is_switched_on_without_a_place_to_send_to_is_refused(where: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        chosen_telemetry(Settings.read({"MUSTER_TELEMETRY": where}))


@pytest.mark.parametrize("endpoint", ["localhost:4318", "grpc://localhost:4317", "nowhere"])
def test_an_otlp_endpoint_that_is_no_address_is_refused_at_the_start(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        chosen_telemetry(Settings.read({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}))


@pytest.mark.parametrize("connection", ["nonsense", "InstrumentationKey=no-key"])
def test_a_connection_string_that_is_none_is_refused_at_the_start_and_not_shown(connection: str) -> None:
    with pytest.raises(ConfigurationError, match="APPLICATIONINSIGHTS_CONNECTION_STRING") as refused:
        chosen_telemetry(
            Settings.read({"MUSTER_TELEMETRY": "azure-monitor", "APPLICATIONINSIGHTS_CONNECTION_STRING": connection})
        )
    assert connection not in str(refused.value)


def test_an_unknown_place_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="MUSTER_TELEMETRY"):
        Settings.read({"MUSTER_TELEMETRY": "jaeger"})


def test_a_connection_string_alone_sends_nothing() -> None:
    """The platform sets it for its own use wherever Application Insights is switched on in the portal."""
    assert chosen_telemetry(Settings.read({"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=x"})) is OFF


@pytest.mark.parametrize(
    ("value", "shown"),
    [("", False), ("false", False), ("NO_CONTENT", False), ("EVENT_ONLY", False), ("True", True), ("SPAN_ONLY", True)],
)
def test_content_is_asked_for_in_opentelemetrys_own_words(value: str, shown: bool) -> None:
    settings = Settings.read({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": value})
    assert settings.shows_content is shown


def test_the_distribution_is_set_up_once_though_the_worker_did_so_before() -> None:
    program = (
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "from shared.settings import Settings\n"
        "from shared.telemetry.choice import chosen_telemetry\n"
        "import sys\n"
        "chosen_telemetry(Settings.read({'MUSTER_TELEMETRY': 'azure-monitor',"
        " 'APPLICATIONINSIGHTS_CONNECTION_STRING': 'InstrumentationKey=x'}))\n"
        "print('azure.monitor.opentelemetry' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr


def test_telemetry_that_is_off_computes_no_measure() -> None:
    computed: list[int] = []

    def measures() -> Iterator[Measure]:
        computed.append(1)
        yield Measure(names.COST, 1)

    OFF.record(measures())
    assert computed == []
    with OFF.span(names.CHAT, "m") as span:
        span.set({TASK_ID: "run-1"})
        span.failed(ValueError())
    assert (span.traceparent, OFF.traceparent) == (None, None)
    OFF.close()


def test_telemetry_that_is_off_hides_no_exception() -> None:
    with pytest.raises(ValueError, match="mine"), OFF.span(names.CHAT, "m"):
        raise ValueError("mine")
