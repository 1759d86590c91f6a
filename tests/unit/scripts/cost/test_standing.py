"""What is billed although nothing runs, and that it is read off the templates."""

import json
import re
import shutil
from pathlib import Path

import pytest

from scripts.cost.prices import Meter, Range
from scripts.cost.standing import HOURS_PER_MONTH, INFRA, read_deployed, standing_usage
from scripts.cost.usage import Usage
from tests.support.cost_examples import DEPLOYED, the_prices, the_profile


def idle(**changes: object) -> Usage:
    return standing_usage(DEPLOYED, the_profile(**changes).deployment, the_prices())


def test_scaled_to_zero_only_the_namespace_its_polls_and_the_alerts_are_paid_for() -> None:
    assert idle() == {
        Meter.SERVICE_BUS_BASE: Range.exactly(1),
        Meter.SERVICE_BUS_OPERATIONS: Range(0, 30 * 360 * HOURS_PER_MONTH),
        Meter.ALWAYS_READY_GB_SECONDS: Range.exactly(0),
        Meter.METRIC_ALERT_SERIES: Range.exactly(27),
        Meter.LOG_ALERT_RULES: Range.exactly(2),
    }


def test_a_private_network_has_a_premium_namespace_and_endpoints_by_the_hour() -> None:
    private = idle(deployment__private_network=True)
    assert private[Meter.SERVICE_BUS_PREMIUM_HOURS] == Range.exactly(HOURS_PER_MONTH)
    assert private[Meter.PRIVATE_ENDPOINT_HOURS] == Range(5 * HOURS_PER_MONTH, 7 * HOURS_PER_MONTH)
    assert Meter.SERVICE_BUS_BASE not in private


def test_orchestrations_in_storage_are_polled_for_all_the_time() -> None:
    assert idle(deployment__durable_backend="storage")[Meter.QUEUE_OPERATIONS] == Range.exactly(
        5 * 360 * HOURS_PER_MONTH
    )


def test_an_instance_that_is_always_ready_is_paid_for_every_second() -> None:
    ready = idle(deployment__always_ready_http=2, deployment__instance_mb=4096)
    assert ready[Meter.ALWAYS_READY_GB_SECONDS] == Range.exactly(2 * 4 * HOURS_PER_MONTH * 3600)


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    return Path(shutil.copytree(INFRA, tmp_path / "infra"))


def test_one_more_queue_in_the_topology_is_one_more_to_poll_and_to_watch(infra: Path) -> None:
    before = read_deployed(infra)
    topology = json.loads((infra / "servicebus.json").read_text())
    topology["queues"].append({**topology["queues"][0], "name": "another-tasks"})
    (infra / "servicebus.json").write_text(json.dumps(topology))
    after = read_deployed(infra)
    assert (after.triggered, after.watched) == (before.triggered + 1, before.watched + 1)


def test_one_more_alert_in_the_templates_is_one_more_to_pay_for(infra: Path) -> None:
    before = read_deployed(infra)
    alerts = infra / "app" / "alerts.bicep"
    rule = "\nresource stuck 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {\n  name: 'stuck'\n}\n"
    alerts.write_text(alerts.read_text() + rule)
    assert read_deployed(infra).log_alert_rules == before.log_alert_rules + 1


def test_rules_that_a_loop_makes_are_as_many_as_what_it_goes_through(infra: Path) -> None:
    before = read_deployed(infra)
    alerts = infra / "app" / "alerts.bicep"
    text = alerts.read_text()
    first = text.index("  {", text.index("var rules = ["))
    alerts.write_text(f"{text[:first]}  {{ name: 'another' }}\n{text[first:]}")
    assert before.log_alert_rules >= 4
    assert read_deployed(infra).log_alert_rules == before.log_alert_rules + 1


def test_every_rule_asks_as_often_as_the_price_of_one_is_for() -> None:
    asked = re.findall(r"evaluationFrequency: '(\w+)'", (INFRA / "app" / "alerts.bicep").read_text())
    assert asked == ["PT5M", "PT15M"], "the metric alert, whose price has no frequency, and the rules that query logs"
    assert "every 15 minutes" in the_prices().prices[Meter.LOG_ALERT_RULES].what


def test_the_endpoints_are_those_of_the_template_some_of_them_only_when_asked_for() -> None:
    assert read_deployed().endpoints == Range(5, 7)
