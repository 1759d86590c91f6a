"""Names keep within Azure's limits, whatever the environment is called."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tree_sitter import Node

from scripts.infra_check.bicep import Declaration, Template, at, literal, properties, text
from scripts.infra_check.finding import Finding
from scripts.infra_check.infra import Infra

# learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules: shortest and longest, in characters.
LIMITS: Mapping[str, tuple[int, int]] = {
    "Microsoft.ApiManagement/service": (1, 50),
    "Microsoft.CognitiveServices/accounts": (2, 64),
    "Microsoft.DocumentDB/databaseAccounts": (3, 44),
    "Microsoft.DurableTask/schedulers": (3, 64),
    "Microsoft.KeyVault/vaults": (3, 24),
    "Microsoft.ServiceBus/namespaces": (6, 50),
    "Microsoft.Storage/storageAccounts": (3, 24),
    "Microsoft.Web/serverfarms": (1, 40),
    "Microsoft.Web/sites": (1, 60),
    "Microsoft.Network/virtualNetworks": (2, 64),
}
QUEUE, TOPIC, SUBSCRIPTION, RULE, CONTAINER = 260, 260, 50, 50, 255

_TOPOLOGY, _CONTAINERS = "servicebus.json", "cosmos.json"
_TOKEN = 13  # uniqueString gives 13 characters.


def names(infra: Infra) -> Iterator[Finding]:
    """Names that are parameters say their limits, those that are given keep them, and so do the entities' names."""
    for template in infra.templates.values():
        for resource in template.of_kind("resource").values():
            if not resource.existing:
                yield from _declared(template, resource)
        for module in template.of_kind("module").values():
            yield from _given(infra, template, module)
    yield from _entities(infra)


def _declared(template: Template, resource: Declaration) -> Iterator[Finding]:
    limits = LIMITS.get(resource.target.partition("@")[0])
    name = at(resource.body, "name")
    parameter = template.of_kind("param").get(text(name)) if name is not None else None
    if limits is None or parameter is None:
        return
    longest = int(parameter.decorators.get("maxLength", ("0",))[0])
    if not 0 < longest <= limits[1]:
        yield template.finding(parameter, f"param {parameter.name} names a {resource.target}: @maxLength({limits[1]})")


def _given(infra: Infra, template: Template, module: Declaration) -> Iterator[Finding]:
    target = infra.module(template, module.target)
    for name, value in properties(at(module.body, "params")).items():
        parameter = target.of_kind("param").get(name) if target is not None else None
        shortest, longest = _length(template, value)
        if parameter is None or longest is None:
            continue
        most = int(parameter.decorators.get("maxLength", ("1000000",))[0])
        least = int(parameter.decorators.get("minLength", ("0",))[0])
        if longest > most:
            yield template.finding(value, f"{module.name}: {name} can have {longest} characters, and may have {most}")
        if shortest < least:
            yield template.finding(value, f"{module.name}: {name} can have {shortest} characters, and needs {least}")


def _length(template: Template, value: Node) -> tuple[int, int | None]:
    """The shortest and the longest that a string can be; the longest is None where that cannot be known."""
    if (said := literal(value)) is not None:
        return len(said), len(said)
    if value.type == "identifier":
        return _length_of_name(template, text(value))
    if value.type != "string":
        return 0, None
    shortest, longest = 0, 0
    for part in value.named_children:
        low, high = (
            _length(template, part.named_children[0])
            if part.type == "interpolation"
            else (len(text(part)), len(text(part)))
        )
        if high is None:
            return 0, None
        shortest, longest = shortest + low, longest + high
    return shortest, longest


def _length_of_name(template: Template, name: str) -> tuple[int, int | None]:
    declared = template.by_name.get(name)
    if declared is None:
        return 0, None
    if declared.kind == "var" and "uniqueString" in text(declared.node):
        return _TOKEN, _TOKEN
    if declared.kind == "var":
        return _length(template, declared.node.named_children[-1])
    longest = declared.decorators.get("maxLength")
    return int(declared.decorators.get("minLength", ("0",))[0]), int(longest[0]) if longest else None


def _entities(infra: Infra) -> Iterator[Finding]:
    for file, kind, name, most in _entity_names(infra):
        if len(name) > most:
            line = infra.line_of(file, f'"{name}"')
            yield Finding(
                Path(file), line, f"the name of {kind} {name} has {len(name)} characters, and may have {most}"
            )


def _entity_names(infra: Infra) -> Iterator[tuple[str, str, str, int]]:
    """File, kind, name and longest name of everything that the documents name."""
    topology = infra.document(_TOPOLOGY)
    for queue in topology["queues"]:
        yield _TOPOLOGY, "queue", queue["name"], QUEUE
    for topic in topology["topics"]:
        yield _TOPOLOGY, "topic", topic["name"], TOPIC
        for subscription in topic["subscriptions"]:
            yield _TOPOLOGY, "subscription", subscription["name"], SUBSCRIPTION
            for rule in subscription.get("rules", ()):
                yield _TOPOLOGY, "rule", rule["name"], RULE
    for container in infra.document(_CONTAINERS)["containers"]:
        yield _CONTAINERS, "container", container["name"], CONTAINER
