"""The same spans, metrics and log lines go to Application Insights, and no text of a run goes with them."""

import json
from pathlib import Path

import pytest

from shared.telemetry import names
from shared.telemetry.attributes import PATTERN
from tests.integration.test_measures import CANARY, FAILING, SeededModel, ran
from tests.support.chat_model import chat_model
from tests.support.insights_receiver import InsightsReceiver, insights_receiver
from tests.support.muster_host import muster_host


async def two_runs(folder: Path, insights: InsightsReceiver, **settings: str) -> str:
    """A run that is written and one that is refused, with telemetry on; what the host's own log says."""
    given = {
        "MUSTER_MODEL_NAME": "gpt-5-mini",
        "MUSTER_TELEMETRY": "azure-monitor",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": insights.connection_string,
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        **settings,
    }
    async with chat_model(SeededModel()) as model:
        async with muster_host(folder, model_url=model.url, settings=given) as host:
            await ran(host, {"agents": ["research", "writer"], "request": f"tides and a {CANARY}"})
            await ran(host, FAILING)
        return host.process.log


@pytest.mark.parametrize(
    "worker",
    [
        {"PYTHON_ENABLE_OPENTELEMETRY": "true"},
        # What the worker sets up keeps five spans a second unless it is told to keep all.
        {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true", "OTEL_TRACES_SAMPLER": "always_on"},
    ],
    ids=["set up by the app", "set up by the worker"],
)
async def test_spans_metrics_and_log_lines_arrive_once_and_hold_no_text(tmp_path: Path, worker: dict[str, str]) -> None:
    with insights_receiver() as insights:
        log = await two_runs(tmp_path, insights, **worker)
        dependencies = insights.of_type("RemoteDependencyData")
        starts = [each for each in dependencies if each["name"] == "start_run sequential"]
        assert len(starts) == 2
        assert all(each["properties"][PATTERN] == "sequential" for each in starts)
        assert {each["name"] for each in dependencies} >= {
            "send writer-tasks",
            "invoke_agent writer",
            "chat gpt-5-mini",
        }
        metrics = {point["name"] for each in insights.of_type("MetricData") for point in each["metrics"]}
        assert metrics >= {names.RUN_DURATION.name, names.COST.name, names.TOKEN_USAGE.name, names.RETRIES.name}
        lines = [each["message"] for each in insights.of_type("MessageData")]
        assert any("failed for good: ModelRefused" in line for line in lines), lines
        assert CANARY in log
        assert not insights.holds(CANARY), [each["data"] for each in insights.items if CANARY in json.dumps(each)]
