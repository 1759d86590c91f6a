"""What is billed although nothing runs: read off the templates, so that it is what `azd up` makes."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from scripts.cost.prices import Assumption, Meter, PriceTable, Range
from scripts.cost.profile import Deployment
from scripts.cost.usage import Usage
from scripts.infra_check.bicep import Declaration, Template, read_template, text, walk
from scripts.local_host import ROOT

HOURS_PER_MONTH = 730
SECONDS_PER_MONTH = HOURS_PER_MONTH * 3600
INFRA = ROOT / "infra"

_RULE = "Microsoft.Insights/scheduledQueryRules@"
_PRIVATE_ZONE = re.compile(r"zone: 'privatelink\.")
_IF = "? [{"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What of a deployment is billed by its number.

    `triggered` entities of Service Bus start functions. `queues` and topics have dead letters that an alert watches.
    `durable_queues` are those of Durable on Azure Storage: four partitions and one for activities.
    """

    triggered: int
    watched: int
    log_alert_rules: int
    endpoints: Range
    durable_queues: int = 5


def read_deployed(infra: Path = INFRA) -> Deployed:
    """The numbers in the templates."""
    topology = json.loads((infra / "servicebus.json").read_text(encoding="utf-8"))
    subscriptions = sum(len(topic["subscriptions"]) for topic in topology["topics"])
    zones = [line for line in _lines(infra / "main.bicep") if _PRIVATE_ZONE.search(line)]
    template = read_template(infra, Path("app") / "alerts.bicep")
    always = [line for line in zones if _IF not in line]
    return Deployed(
        triggered=len(topology["queues"]) + subscriptions,
        watched=len(topology["queues"]) + len(topology["topics"]),
        log_alert_rules=sum(
            _number(template, each) for each in template.of_kind("resource").values() if _RULE in each.target
        ),
        endpoints=Range(len(always), len(zones)),
    )


def _number(template: Template, resource: Declaration) -> int:
    """How many a resource declares: one, or one for each element of the variable that it loops over."""
    if not resource.is_loop:
        return 1
    loop = next(node for node in walk(resource.node) if node.type == "for_statement")
    looped = [text(node) for node in loop.children if node.type == "identifier"]
    [over] = [template.by_name[name] for name in looped if name in template.by_name]
    elements = next(node for node in walk(over.node) if node.type == "array")
    return len([node for node in elements.children if node.type == "object"])


def standing_usage(deployed: Deployed, deployment: Deployment, table: PriceTable) -> Usage:
    """A month without a single run."""
    return {
        **_bus(deployed, deployment, table),
        Meter.ALWAYS_READY_GB_SECONDS: Range.exactly(
            deployment.always_ready_http * deployment.instance_mb / 1024 * SECONDS_PER_MONTH
        ),
        Meter.METRIC_ALERT_SERIES: Range.exactly(deployed.watched),
        Meter.LOG_ALERT_RULES: Range.exactly(deployed.log_alert_rules),
        **_durable(deployed, deployment, table),
        **_network(deployed, deployment),
    }


def _bus(deployed: Deployed, deployment: Deployment, table: PriceTable) -> Usage:
    if deployment.private_network:
        return {Meter.SERVICE_BUS_PREMIUM_HOURS: Range.exactly(HOURS_PER_MONTH)}
    polls = table.assumed(Assumption.POLLS_PER_HOUR).times(deployed.triggered * HOURS_PER_MONTH)
    return {Meter.SERVICE_BUS_BASE: Range.exactly(1), Meter.SERVICE_BUS_OPERATIONS: polls}


def _durable(deployed: Deployed, deployment: Deployment, table: PriceTable) -> Usage:
    if deployment.durable_backend == "scheduler":
        return {}
    polls = table.assumed(Assumption.STORAGE_POLLS_PER_HOUR).times(deployed.durable_queues * HOURS_PER_MONTH)
    return {Meter.QUEUE_OPERATIONS: polls}


def _network(deployed: Deployed, deployment: Deployment) -> Usage:
    if not deployment.private_network:
        return {}
    return {
        Meter.PRIVATE_ENDPOINT_HOURS: deployed.endpoints.times(HOURS_PER_MONTH),
        Meter.PRIVATE_ZONES: deployed.endpoints,
    }


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
