"""The templates set what the code reads, and nothing that nobody reads."""

from collections.abc import Iterator
from pathlib import Path

from scripts.infra_check.bicep import literal, properties, text
from scripts.infra_check.finding import Finding
from scripts.infra_check.infra import Infra
from shared.settings import Settings

SETTINGS = Path("app/settings.bicep")

# What the platform's own parts read: the host, its extensions, and the monitoring of both.
HOST = frozenset(
    {
        "AzureWebJobsStorage__accountName",
        "AzureWebJobsStorage__credential",
        "AzureWebJobsStorage__clientId",
        "ServiceBusConnection__fullyQualifiedNamespace",
        "ServiceBusConnection__credential",
        "ServiceBusConnection__clientId",
        "CosmosConnection__credential",
        "CosmosConnection__clientId",
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        "PYTHON_ENABLE_OPENTELEMETRY",
        "DURABLE_TASK_SCHEDULER_CONNECTION_STRING",
    }
)
# An element of host.json, as an application setting spells it.
_HOST_JSON = "AzureFunctionsJobHost__"

# Deprecated on Flex Consumption, where setting one is an error or does nothing.
REFUSED = frozenset(
    {
        "FUNCTIONS_WORKER_RUNTIME",
        "FUNCTIONS_EXTENSION_VERSION",
        "WEBSITE_RUN_FROM_PACKAGE",
        "SCM_DO_BUILD_DURING_DEPLOYMENT",
        "ENABLE_ORYX_BUILD",
        "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
        "WEBSITE_CONTENTSHARE",
        "WEBSITE_TIME_ZONE",
        "TZ",
    }
)

# Settings of the app that the templates leave at their defaults, or that mean something on a developer's machine only.
LEFT_ALONE = frozenset(
    {
        "ServiceBusConnection",
        "CosmosConnection",
        "MUSTER_DATA_DIR",
        "MUSTER_FACT_DAYS",
        "MUSTER_SESSION_DAYS",
        "MUSTER_ARTIFACTS_CONNECTION",
        "MUSTER_MODEL_REQUESTS_PER_MINUTE",
        "MUSTER_MODEL_TOKENS_PER_MINUTE",
        "MUSTER_MODEL_FALLBACK_NAME",
        "MUSTER_MODEL_FALLBACK_BASE_URL",
        "MUSTER_MODEL_FALLBACK_API_KEY",
        "MUSTER_MODEL_TIMEOUT_SECONDS",
        "MUSTER_MODEL_MAX_OUTPUT_TOKENS",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "AZURE_FUNCTIONS_ENVIRONMENT",
        "WEBSITE_HOSTNAME",
    }
)


def settings(infra: Infra) -> Iterator[Finding]:
    """The names of the application settings, against those that `shared/settings.py` reads."""
    template = infra.templates.get(SETTINGS)
    if template is None:
        yield Finding(SETTINGS, 1, "the template of the application settings is missing")
        return
    read = {field.alias or name for name, field in Settings.model_fields.items()}
    given: set[str] = set()
    for variable in template.of_kind("var").values():
        for group in variable.node.named_children[1:]:
            branches = group.named_children if group.type == "ternary_expression" else [group]
            for name, value in (pair for branch in branches for pair in properties(branch).items()):
                given.add(name)
                if name in REFUSED:
                    yield template.finding(value, f"{name} is not to be set on Flex Consumption")
                elif name not in read | HOST and not name.startswith(_HOST_JSON):
                    yield template.finding(value, f"nothing reads the setting {name}")
                if name.upper().endswith("_KEY") and literal(value) is not None:
                    yield template.finding(value, f"{name} is written out: {text(value)[:3]}...")
    for name in sorted(read - given - LEFT_ALONE):
        yield Finding(SETTINGS, 1, f"the app reads {name}, and nothing sets it")
    for name in sorted(LEFT_ALONE - read):
        yield Finding(SETTINGS, 1, f"{name} is listed as left alone, and the app does not read it")
