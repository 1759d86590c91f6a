"""Whether the host emits spans, and where they go: its options and the OpenTelemetry variables of the environment.

Source of the variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

import importlib.util
import logging
from collections.abc import Mapping
from typing import Final

from devhost.clock import Clock
from devhost.errors import StartError
from devhost.options import HostOptions
from devhost.telemetry.spans import Spans

_log = logging.getLogger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"
_DELAY: Final = "OTEL_BSP_SCHEDULE_DELAY"
# OpenTelemetry's own default is 5 s, which is long for somebody who waits for a trace to appear.
_DELAY_MILLISECONDS: Final = 1000
_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http"


def telemetry_endpoint(options: HostOptions, settings: Mapping[str, str]) -> str | None:
    """The OTLP endpoint that was named, by an option or by the environment; None when telemetry is not wanted."""
    if settings.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if options.otlp_endpoint:
        return options.otlp_endpoint
    return None if settings.get("OTEL_TRACES_EXPORTER") == "none" else _first(_ENDPOINTS, settings)


def open_spans(options: HostOptions, settings: Mapping[str, str], clock: Clock) -> Spans | None:
    """Where the host's spans go; None when it emits none.

    Raises `StartError` when the command line asks for spans and OpenTelemetry's exporter is not installed. When only
    the environment does, as the app may have an exporter of its own, that is a warning.
    """
    endpoint = telemetry_endpoint(options, settings)
    if endpoint is None or not options.host_spans:
        return None
    reason = _unusable(options, settings)
    if reason is None:
        # What this imports is slow to import, and need not be installed.
        from devhost.telemetry.otlp import otlp_spans

        spans = otlp_spans(
            options.otlp_endpoint, clock, delay_milliseconds=None if _DELAY in settings else _DELAY_MILLISECONDS
        )
        _log.info("spans of the host go to %s", endpoint)
        return spans
    if options.otlp_endpoint:
        raise StartError(f"the host cannot send spans to {endpoint}: {reason}")
    _log.warning("the host sends no spans to %s: %s", endpoint, reason)
    return None


def _unusable(options: HostOptions, settings: Mapping[str, str]) -> str | None:
    if not _is_installed(_EXPORTER):
        return "the package opentelemetry-exporter-otlp-proto-http is not installed"
    protocol = _first(_PROTOCOLS, settings)
    if protocol not in {None, _PROTOCOL} and not options.otlp_endpoint:
        return f"it speaks {_PROTOCOL} only, and the environment asks for {protocol}"
    return None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _first(names: tuple[str, ...], settings: Mapping[str, str]) -> str | None:
    return next((settings[each] for each in names if settings.get(each)), None)
