"""Whether telemetry leaves, and to where, as the settings say."""

from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.telemetry.off import OFF
from shared.telemetry.telemetry import Telemetry


def chosen_telemetry(settings: Settings) -> Telemetry:
    """The telemetry that the settings name; by default the one that is off. Only one that is on imports OpenTelemetry.

    Raises `ConfigurationError` when it is switched on, and where to send to is not set or is no place.
    """
    where = settings.telemetry or ("otlp" if settings.otlp_endpoint else "off")
    if where == "off":
        return OFF
    from shared.telemetry.otel.adapter import OpenTelemetry
    from shared.telemetry.otel.exporting import over_azure_monitor, over_otlp

    if where == "otlp":
        if not settings.otlp_endpoint:
            raise ConfigurationError("set OTEL_EXPORTER_OTLP_ENDPOINT, or MUSTER_TELEMETRY to off")
        if not settings.otlp_endpoint.startswith(("http://", "https://")):
            raise ConfigurationError("OTEL_EXPORTER_OTLP_ENDPOINT is no http or https address")
        providers = over_otlp(settings.otlp_endpoint)
    else:
        if not settings.insights_connection:
            raise ConfigurationError("set APPLICATIONINSIGHTS_CONNECTION_STRING, or MUSTER_TELEMETRY to off")
        try:
            providers = over_azure_monitor(settings.insights_connection, shows_content=settings.shows_content)
        except ValueError as error:
            raise ConfigurationError(f"APPLICATIONINSIGHTS_CONNECTION_STRING: {error}") from None
    return OpenTelemetry(
        providers.tracers,
        providers.meters,
        shows_content=settings.shows_content,
        exporting=providers.exporting,
    )
