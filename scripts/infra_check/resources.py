"""Each resource has a known type and version, and what keeps it closed is said, and said right."""

from collections.abc import Iterator, Mapping

from scripts.infra_check.bicep import Declaration, Template, at, literal, text
from scripts.infra_check.finding import Finding
from scripts.infra_check.infra import Infra

# Versions that Azure's own verified modules used in August 2026; stable ones where there was a choice.
API_VERSIONS: Mapping[str, frozenset[str]] = {
    type_: frozenset(versions.split())
    for type_, versions in {
        "Microsoft.ApiManagement/service": "2024-05-01",
        "Microsoft.ApiManagement/service/apis": "2024-05-01",
        "Microsoft.ApiManagement/service/apis/operations": "2024-05-01",
        "Microsoft.ApiManagement/service/apis/policies": "2024-05-01",
        "Microsoft.ApiManagement/service/namedValues": "2024-05-01",
        "Microsoft.Authorization/roleAssignments": "2022-04-01",
        "Microsoft.CognitiveServices/accounts": "2025-06-01",
        "Microsoft.CognitiveServices/accounts/deployments": "2025-06-01",
        "Microsoft.DocumentDB/databaseAccounts": "2025-04-15",
        "Microsoft.DocumentDB/databaseAccounts/sqlDatabases": "2025-04-15",
        "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers": "2025-04-15",
        "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments": "2024-11-15",
        "Microsoft.DurableTask/schedulers": "2025-11-01",
        "Microsoft.DurableTask/schedulers/taskHubs": "2025-11-01",
        "Microsoft.Insights/actionGroups": "2023-01-01",
        "Microsoft.Insights/components": "2020-02-02",
        "Microsoft.Insights/metricAlerts": "2018-03-01",
        "Microsoft.Insights/scheduledQueryRules": "2023-12-01",
        "Microsoft.Insights/workbooks": "2023-06-01",
        "Microsoft.KeyVault/vaults": "2024-11-01",
        "Microsoft.KeyVault/vaults/secrets": "2024-11-01",
        "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
        "Microsoft.Network/privateDnsZones": "2024-06-01",
        "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
        "Microsoft.Network/privateEndpoints": "2024-05-01",
        "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2024-05-01",
        "Microsoft.Network/virtualNetworks": "2024-05-01",
        "Microsoft.OperationalInsights/workspaces": "2025-07-01",
        "Microsoft.OperationalInsights/workspaces/savedSearches": "2025-02-01",
        "Microsoft.Resources/resourceGroups": "2024-11-01",
        "Microsoft.ServiceBus/namespaces": "2024-01-01",
        "Microsoft.ServiceBus/namespaces/queues": "2024-01-01",
        "Microsoft.ServiceBus/namespaces/topics": "2024-01-01",
        "Microsoft.ServiceBus/namespaces/topics/subscriptions": "2024-01-01",
        "Microsoft.ServiceBus/namespaces/topics/subscriptions/rules": "2024-01-01",
        "Microsoft.Storage/storageAccounts": "2025-06-01",
        "Microsoft.Storage/storageAccounts/blobServices": "2025-06-01",
        "Microsoft.Storage/storageAccounts/blobServices/containers": "2025-06-01",
        "Microsoft.Storage/storageAccounts/managementPolicies": "2025-06-01",
        "Microsoft.Web/serverfarms": "2025-03-01",
        "Microsoft.Web/sites": "2025-03-01",
    }.items()
}

# What must stand in a resource of a type, word for word.
REQUIRED: Mapping[str, Mapping[str, str]] = {
    "Microsoft.CognitiveServices/accounts": {"properties.disableLocalAuth": "true"},
    "Microsoft.DocumentDB/databaseAccounts": {
        "properties.disableLocalAuth": "true",
        "properties.minimalTlsVersion": "Tls12",
        "properties.consistencyPolicy.defaultConsistencyLevel": "Session",
    },
    "Microsoft.Insights/components": {"properties.DisableLocalAuth": "true"},
    # A new workspace does not know its tables yet, and would refuse rules that ask them.
    "Microsoft.Insights/scheduledQueryRules": {"properties.skipQueryValidation": "true", "properties.enabled": "true"},
    "Microsoft.KeyVault/vaults": {"properties.enableRbacAuthorization": "true"},
    "Microsoft.ServiceBus/namespaces": {"properties.disableLocalAuth": "true", "properties.minimumTlsVersion": "1.2"},
    "Microsoft.Storage/storageAccounts": {
        "properties.allowBlobPublicAccess": "false",
        "properties.allowSharedKeyAccess": "false",
        "properties.minimumTlsVersion": "TLS1_2",
        "properties.supportsHttpsTrafficOnly": "true",
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"properties.publicAccess": "None"},
    "Microsoft.Web/serverfarms": {"sku.name": "FC1", "sku.tier": "FlexConsumption", "properties.reserved": "true"},
    "Microsoft.Web/sites": {
        "properties.httpsOnly": "true",
        "properties.siteConfig.minTlsVersion": "1.2",
        "properties.functionAppConfig.runtime.name": "python",
        "properties.functionAppConfig.runtime.version": "3.13",
        "properties.functionAppConfig.deployment.storage.authentication.type": "UserAssignedIdentity",
        "properties.functionAppConfig.scaleAndConcurrency.triggers.http.perInstanceConcurrency": "16",
        "identity.type": "UserAssigned",
    },
}

# A parameter of these names holds a secret, and is marked as one so that no deployment records its value.
_SECRET_WORDS = ("key", "secret", "password", "token")


def resources(infra: Infra) -> Iterator[Finding]:
    """Types, API versions, required properties, and secrets that are marked as such."""
    for template in infra.templates.values():
        for resource in template.of_kind("resource").values():
            yield from _version(template, resource)
            if not resource.existing:
                yield from _properties(template, resource)
        yield from _secrets(template)


def _version(template: Template, resource: Declaration) -> Iterator[Finding]:
    type_, _, version = resource.target.partition("@")
    if type_ not in API_VERSIONS:
        yield template.finding(resource, f"{type_} is no resource type that is known here")
    elif version not in API_VERSIONS[type_]:
        known = ", ".join(sorted(API_VERSIONS[type_]))
        yield template.finding(resource, f"{type_} has no version {version} that is known here; there is {known}")


def _properties(template: Template, resource: Declaration) -> Iterator[Finding]:
    for path, wanted in REQUIRED.get(resource.target.partition("@")[0], {}).items():
        value = at(resource.body, *path.split("."))
        if value is None:
            yield template.finding(resource, f"{resource.name}: {path} must be {wanted}, and is not there")
        elif literal(value) != wanted:
            yield template.finding(value, f"{resource.name}: {path} must be {wanted}, not {text(value)}")


def _secrets(template: Template) -> Iterator[Finding]:
    for parameter in template.of_kind("param").values():
        named = any(parameter.name.lower().endswith(word) for word in _SECRET_WORDS)
        if named and "secure" not in parameter.decorators:
            yield template.finding(parameter, f"param {parameter.name} holds a secret, and is not marked @secure()")
    for output in template.of_kind("output").values():
        if any(output.name.lower().endswith(word) for word in _SECRET_WORDS):
            yield template.finding(output, f"output {output.name} would write a secret into the deployment's record")
