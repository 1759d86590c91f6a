"""Every setting the app reads, in one frozen object. Nothing else in the app looks at the environment.

A field's alias is the setting's name; its description is what `docs/settings.md` says of it, which a test compares.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from shared.errors import ConfigurationError

type _Text = Annotated[str, StringConstraints(strip_whitespace=True)]
# The values that OpenTelemetry's own instrumentations of models take, in either case. Content never leaves as an event.
type _CaptureContent = Annotated[
    Literal["", "false", "true", "no_content", "span_only", "event_only", "span_and_event"],
    BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value),
]


class Settings(BaseModel):
    """The app's settings, as the platform gives them: text under a name."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    service_bus: _Text = Field(
        default="",
        alias="ServiceBusConnection",
        description="A Service Bus connection string. Locally the emulator's, which the local host serves by itself.",
        repr=False,
    )
    service_bus_host: _Text = Field(
        default="",
        alias="ServiceBusConnection__fullyQualifiedNamespace",
        description="The namespace's host name, to reach Service Bus with the app's Entra ID identity and no secret.",
    )
    client_id: _Text = Field(
        default="",
        alias="AZURE_CLIENT_ID",
        description="The client id of the app's user-assigned identity; empty for the machine's own identity.",
    )
    state: Literal["", "sqlite", "cosmos"] = Field(
        default="",
        alias="MUSTER_STATE",
        description="Where runs are kept: sqlite or cosmos. Empty: cosmos when a Cosmos DB account is set, else"
        " sqlite.",
    )
    cosmos: _Text = Field(
        default="",
        alias="CosmosConnection",
        description="A Cosmos DB connection string with a key, such as an emulator's.",
        repr=False,
    )
    cosmos_endpoint: _Text = Field(
        default="",
        alias="CosmosConnection__accountEndpoint",
        description="The Cosmos DB account's address, to reach it with the app's Entra ID identity and no key.",
    )
    cosmos_database: _Text = Field(
        default="muster",
        min_length=1,
        alias="MUSTER_COSMOS_DATABASE",
        description="The Cosmos DB database.",
    )
    retention_days: int = Field(
        default=90,
        ge=0,
        le=3650,
        alias="MUSTER_RETENTION_DAYS",
        description="How many days Cosmos DB keeps a run after its end; 0 for ever. SQLite keeps runs until they are"
        " deleted.",
    )
    fact_days: int = Field(
        default=365,
        ge=0,
        le=3650,
        alias="MUSTER_FACT_DAYS",
        description="How many days agents remember a fact, unless they say otherwise; 0 for ever.",
    )
    session_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        alias="MUSTER_SESSION_DAYS",
        description="How many days agents remember what was said in a session; 0 for ever.",
    )
    data_dir: Path = Field(
        default=Path(".muster"),
        alias="MUSTER_DATA_DIR",
        description="Where the embedded state store, memory and artifacts lie, relative to the folder the host runs"
        " in.",
    )
    artifacts_url: _Text = Field(
        default="",
        alias="MUSTER_ARTIFACTS_URL",
        description="The URL of the blob container for artifacts, reached with the app's Entra ID identity and no"
        " secret. Empty: files in the data folder.",
    )
    artifacts_connection: _Text = Field(
        default="",
        alias="MUSTER_ARTIFACTS_CONNECTION",
        description="A storage connection string instead, for an emulator; the container is called artifacts.",
        repr=False,
    )
    model_base_url: _Text = Field(
        default="",
        alias="MUSTER_MODEL_BASE_URL",
        description="An OpenAI-compatible endpoint, ending in /v1/ for most. Empty: OpenAI when there is a key, else"
        " the offline model of the local host in development.",
    )
    model_api_key: _Text = Field(
        default="",
        alias="MUSTER_MODEL_API_KEY",
        description="The endpoint's key. Empty for an Azure OpenAI endpoint: the app's Entra ID identity is used.",
        repr=False,
    )
    model_name: _Text = Field(
        default="gpt-5-mini",
        alias="MUSTER_MODEL_NAME",
        description="The model, or the name of the Azure OpenAI deployment.",
    )
    model_timeout_seconds: float = Field(
        default=90,
        gt=0,
        le=1800,
        alias="MUSTER_MODEL_TIMEOUT_SECONDS",
        description="How long one model call may take in all.",
    )
    model_max_output_tokens: int = Field(
        default=8192,
        ge=1,
        alias="MUSTER_MODEL_MAX_OUTPUT_TOKENS",
        description="The most tokens one model call may answer with.",
    )
    model_requests_per_minute: int = Field(
        default=0,
        ge=0,
        alias="MUSTER_MODEL_REQUESTS_PER_MINUTE",
        description="How many model calls each instance of the app may make a minute. 0 is no limit.",
    )
    model_tokens_per_minute: int = Field(
        default=0,
        ge=0,
        alias="MUSTER_MODEL_TOKENS_PER_MINUTE",
        description="How many tokens, in and out, each instance may use a minute. 0 is no limit.",
    )
    model_fallback_name: _Text = Field(
        default="",
        alias="MUSTER_MODEL_FALLBACK_NAME",
        description="The model that is asked when the first one is away or limits requests. Empty for none.",
    )
    model_fallback_base_url: _Text = Field(
        default="",
        alias="MUSTER_MODEL_FALLBACK_BASE_URL",
        description="The fallback's endpoint. Empty: the first model's.",
    )
    model_fallback_api_key: _Text = Field(
        default="",
        alias="MUSTER_MODEL_FALLBACK_API_KEY",
        description="The fallback endpoint's key. Empty at the first model's endpoint: the first model's key.",
        repr=False,
    )
    telemetry: Literal["", "off", "otlp", "azure-monitor"] = Field(
        default="",
        alias="MUSTER_TELEMETRY",
        description="Where traces and metrics go: otlp, azure-monitor or off. Empty: otlp when an OTLP endpoint is set,"
        " else off.",
    )
    otlp_endpoint: _Text = Field(
        default="",
        alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The base URL of an OTLP endpoint (protobuf over HTTP), such as http://localhost:4318.",
    )
    insights_connection: _Text = Field(
        default="",
        alias="APPLICATIONINSIGHTS_CONNECTION_STRING",
        description="The connection string of Application Insights, for azure-monitor.",
        repr=False,
    )
    capture_content: _CaptureContent = Field(
        default="",
        alias="OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        description="Whether prompts, answers and error messages leave with spans: true, or span_only. Empty: they do"
        " not.",
    )
    environment: _Text = Field(
        default="",
        alias="AZURE_FUNCTIONS_ENVIRONMENT",
        description="Set by the platform: Development under a local host.",
    )
    website_hostname: _Text = Field(
        default="",
        alias="WEBSITE_HOSTNAME",
        description="Set by the platform: the host's own name and port.",
    )

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`. Raises `ConfigurationError`, which names the setting and never shows a value."""
        try:
            return cls.model_validate({name: value for name, value in environ.items() if value != ""})
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise ConfigurationError(f"setting {first['loc'][0]}: {first['msg']}") from None

    @property
    def model_timeout(self) -> timedelta:
        """`model_timeout_seconds` as a duration."""
        return timedelta(seconds=self.model_timeout_seconds)

    @property
    def shows_content(self) -> bool:
        """Whether telemetry may hold prompts, answers and error messages."""
        return self.capture_content in ("true", "span_only", "span_and_event")

    @property
    def in_development(self) -> bool:
        """Whether a local host runs the app."""
        return self.environment.lower() == "development"


def load_settings() -> Settings:
    """The settings of this process. Raises `ConfigurationError`."""
    return Settings.read(os.environ)
