"""The app's identity has the data roles that its resources ask for, by ids that exist, and no others."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tree_sitter import Node

from scripts.infra_check.bicep import Declaration, Template, at, literal, properties, text, walk
from scripts.infra_check.finding import Finding
from scripts.infra_check.infra import Infra

# learn.microsoft.com/azure/role-based-access-control/built-in-roles, and Cosmos DB's own data-plane roles.
ROLE_IDS: Mapping[str, str] = {
    "storageBlobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "storageQueueDataContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "storageTableDataContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "serviceBusDataOwner": "090c5cfd-751d-490a-894a-3ce6f1109419",
    "monitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "durableTaskDataContributor": "0ad04412-c4d5-4796-b79c-f76d14c8d402",
    "cognitiveServicesOpenAIUser": "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd",
    "keyVaultSecretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
    "cosmosDataContributor": "00000000-0000-0000-0000-000000000002",
}

# The roles that the app needs on a resource of each type.
NEEDED: Mapping[str, frozenset[str]] = {
    "Microsoft.Storage/storageAccounts": frozenset(
        {"storageBlobDataOwner", "storageQueueDataContributor", "storageTableDataContributor"}
    ),
    "Microsoft.ServiceBus/namespaces": frozenset({"serviceBusDataOwner"}),
    "Microsoft.DocumentDB/databaseAccounts": frozenset({"cosmosDataContributor"}),
    "Microsoft.Insights/components": frozenset({"monitoringMetricsPublisher"}),
    "Microsoft.DurableTask/schedulers": frozenset({"durableTaskDataContributor"}),
    "Microsoft.CognitiveServices/accounts": frozenset({"cognitiveServicesOpenAIUser"}),
    "Microsoft.KeyVault/vaults": frozenset({"keyVaultSecretsUser"}),
}

ROLES = Path("app/roles.bicep")
_ASSIGNMENTS = ("Microsoft.Authorization/roleAssignments", "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments")


def roles(infra: Infra) -> Iterator[Finding]:
    """Role ids, and which role is given on which resource."""
    template = infra.templates.get(ROLES)
    if template is None:
        yield Finding(ROLES, 1, "the template of the role assignments is missing")
        return
    yield from _ids(template)
    made = {each.target.partition("@")[0] for other in infra.templates.values() for each in _made(other)}
    given: dict[str, set[str]] = {}
    for assignment in _assignments(template):
        scope, role, place = _given(template, assignment)
        given.setdefault(scope, set()).add(role)
        if role not in NEEDED.get(scope, frozenset()):
            yield template.finding(place, f"{assignment.name}: the app needs no role {role} on {scope or 'nothing'}")
    for type_ in sorted(made & NEEDED.keys()):
        for role in sorted(NEEDED[type_] - given.get(type_, set())):
            yield Finding(ROLES, 1, f"the app's identity is not given {role} on {type_}")


def _made(template: Template) -> Iterator[Declaration]:
    yield from (each for each in template.of_kind("resource").values() if not each.existing)


def _assignments(template: Template) -> Iterator[Declaration]:
    for each in template.of_kind("resource").values():
        if each.target.partition("@")[0] in _ASSIGNMENTS:
            yield each


def _ids(template: Template) -> Iterator[Finding]:
    """Every GUID that is written out is the id of the role that it is called."""
    for each in template.of_kind("var").values():
        named = dict.fromkeys([each.name], each.node.named_children[-1])
        for name, value in (properties(each.node.named_children[-1]) or named).items():
            known, said = ROLE_IDS.get(name), literal(value)
            if known is None:
                yield template.finding(value, f"{name} is no role that is known here")
            elif said != known:
                yield template.finding(value, f"the id of {name} is {known}, not {said}")


def _given(template: Template, assignment: Declaration) -> tuple[str, str, Node]:
    """The type of resource and the name of the role of an assignment, and where the role stands."""
    scope = at(assignment.body, "parent") or at(assignment.body, "scope")
    on = template.of_kind("resource").get(text(scope) if scope is not None else "")
    definition = at(assignment.body, "properties", "roleDefinitionId") or assignment.node
    named = [text(each) for each in walk(definition) if each.type in {"identifier", "property_identifier"}]
    role = next((name for name in named if name in ROLE_IDS), "that is known here")
    return on.target.partition("@")[0] if on is not None else "", role, definition
