// Everything that one environment of Muster consists of. `azd up` asks for a name and a place; the rest has defaults.
targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('Name of the environment. Every name in it is made from this.')
param environmentName string

@minLength(1)
@description('Where everything is put. It must offer Flex Consumption and, unless turned off, the Durable Task Scheduler.')
param location string

@description('What keeps the orchestrations: the Durable Task Scheduler, or the storage account.')
@allowed(['scheduler', 'storage'])
param durableBackend string = 'scheduler'

@description('OpenAI-compatible endpoint of a model elsewhere. Empty: an Azure OpenAI account is made.')
param modelBaseUrl string = ''

@secure()
@description('Key of that endpoint. It goes to a vault, and to the app by reference.')
param modelApiKey string = ''

@description('The model, or the name of its deployment.')
param modelName string = 'gpt-5-mini'

@description('Version of the model that is deployed.')
param modelVersion string = '2025-08-07'

@description('Thousands of tokens a minute that the deployment may use.')
@minValue(1)
param modelCapacity int = 50

@description('Whether everything but the app is reached through private endpoints alone. Service Bus is Premium then, which is paid for by the hour.')
param privateNetwork bool = false

@description('Who is told by the gateway service. Empty: no API Management.')
param gatewayPublisherEmail string = ''

@description('Who is told by mail when an alert fires. Empty: alerts are shown in the portal only.')
param alertEmail string = ''

@description('Percent of an hour\'s runs that may fail before an alert fires.')
@minValue(1)
@maxValue(100)
param alertFailurePercent int = 20

@description('US dollars that the models may cost in an hour before an alert fires.')
@minValue(1)
param alertCostPerHour int = 10

@description('Memory of an instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('How many instances each function group may have at most.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Instances that are always there to answer HTTP, and paid for. 0 scales to zero.')
@minValue(0)
param alwaysReadyHttp int = 0

@description('Days after which finished runs and artifacts are deleted. 0 keeps them for ever.')
@minValue(0)
param retentionDays int = 90

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var taskHubName = 'muster'
var packageContainer = 'app-package'
var artifactContainer = 'artifacts'
var deploysModel = empty(modelBaseUrl)
var usesScheduler = durableBackend == 'scheduler'
var keepsSecret = !empty(modelApiKey)

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'core/identity.bicep' = {
  name: 'identity'
  scope: group
  params: { name: 'id-${token}', location: location, tags: tags }
}

module monitoring 'core/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: { workspaceName: 'log-${token}', insightsName: 'appi-${token}', location: location, tags: tags }
}

module storage 'core/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    packageContainer: packageContainer
    artifactContainer: artifactContainer
    artifactRetentionDays: retentionDays
    privateOnly: privateNetwork
  }
}

module serviceBus 'core/servicebus.bicep' = {
  name: 'servicebus'
  scope: group
  params: {
    name: 'sb-${token}'
    location: location
    tags: tags
    sku: privateNetwork ? 'Premium' : 'Standard'
    privateOnly: privateNetwork
  }
}

module cosmos 'core/cosmos.bicep' = {
  name: 'cosmos'
  scope: group
  params: { name: 'cosmos-${token}', location: location, tags: tags, privateOnly: privateNetwork }
}

module scheduler 'core/scheduler.bicep' = if (usesScheduler) {
  name: 'scheduler'
  scope: group
  params: { name: 'dts-${token}', taskHubName: taskHubName, location: location, tags: tags }
}

module model 'core/model.bicep' = if (deploysModel) {
  name: 'model'
  scope: group
  params: {
    name: 'oai-${token}'
    location: location
    tags: tags
    modelName: modelName
    modelVersion: modelVersion
    capacity: modelCapacity
    privateOnly: privateNetwork
  }
}

module vault 'core/vault.bicep' = if (keepsSecret) {
  name: 'vault'
  scope: group
  params: { name: 'kv-${token}', location: location, tags: tags, modelApiKey: modelApiKey, privateOnly: privateNetwork }
}

module network 'core/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: { name: 'vnet-${token}', location: location, tags: tags }
}

module endpoints 'core/endpoints.bicep' = if (privateNetwork) {
  name: 'endpoints'
  scope: group
  params: {
    location: location
    tags: tags
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointSubnetId
    targets: concat(
      [
        { name: 'blob', resourceId: storage.outputs.id, group: 'blob', zone: 'privatelink.blob.${environment().suffixes.storage}' }
        { name: 'queue', resourceId: storage.outputs.id, group: 'queue', zone: 'privatelink.queue.${environment().suffixes.storage}' }
        { name: 'table', resourceId: storage.outputs.id, group: 'table', zone: 'privatelink.table.${environment().suffixes.storage}' }
        { name: 'servicebus', resourceId: serviceBus.outputs.id, group: 'namespace', zone: 'privatelink.servicebus.windows.net' }
        { name: 'cosmos', resourceId: cosmos.outputs.id, group: 'Sql', zone: 'privatelink.documents.azure.com' }
      ],
      deploysModel ? [{ name: 'model', resourceId: model!.outputs.id, group: 'account', zone: 'privatelink.openai.azure.com' }] : [],
      keepsSecret ? [{ name: 'vault', resourceId: vault!.outputs.id, group: 'vault', zone: 'privatelink.vaultcore.azure.net' }] : []
    )
  }
}

module roles 'app/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    principalId: identity.outputs.principalId
    storageName: storage.outputs.name
    serviceBusName: serviceBus.outputs.name
    cosmosName: cosmos.outputs.name
    insightsName: monitoring.outputs.insightsName
    schedulerName: usesScheduler ? scheduler!.outputs.name : ''
    modelAccountName: deploysModel ? model!.outputs.name : ''
    vaultName: keepsSecret ? vault!.outputs.name : ''
  }
}

module settings 'app/settings.bicep' = {
  name: 'settings'
  scope: group
  params: {
    clientId: identity.outputs.clientId
    storageName: storage.outputs.name
    artifactUrl: '${storage.outputs.blobEndpoint}${artifactContainer}'
    serviceBusHostName: serviceBus.outputs.hostName
    cosmosEndpoint: cosmos.outputs.endpoint
    cosmosDatabase: cosmos.outputs.databaseName
    retentionDays: retentionDays
    insightsConnectionString: monitoring.outputs.connectionString
    schedulerEndpoint: usesScheduler ? scheduler!.outputs.endpoint : ''
    taskHubName: taskHubName
    modelBaseUrl: deploysModel ? model!.outputs.baseUrl : modelBaseUrl
    modelName: modelName
    modelKeyReference: keepsSecret ? vault!.outputs.modelKeyReference : ''
  }
}

module app 'core/functionapp.bicep' = {
  name: 'functionapp'
  scope: group
  // An app that starts before its roles are there is refused by everything it needs, and keeps the refusals for minutes.
  dependsOn: [roles, endpoints]
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    packageUrl: '${storage.outputs.blobEndpoint}${packageContainer}'
    settings: settings.outputs.values
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttp: alwaysReadyHttp
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
  }
}

module gateway 'core/gateway.bicep' = if (!empty(gatewayPublisherEmail)) {
  name: 'gateway'
  scope: group
  params: {
    name: 'apim-${token}'
    location: location
    tags: tags
    publisherEmail: gatewayPublisherEmail
    functionAppName: app.outputs.name
  }
}

module alerts 'app/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    tags: tags
    serviceBusId: serviceBus.outputs.id
    workspaceId: monitoring.outputs.workspaceId
    email: alertEmail
    failurePercent: alertFailurePercent
    costPerHour: alertCostPerHour
  }
}

module queries 'app/queries.bicep' = {
  name: 'queries'
  scope: group
  params: { workspaceName: monitoring.outputs.workspaceName }
}

module workbook 'app/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: { location: location, tags: tags, workspaceId: monitoring.outputs.workspaceId }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output SERVICE_API_NAME string = app.outputs.name
output SERVICE_API_ENDPOINTS array = [app.outputs.url]
output MUSTER_GATEWAY_URL string = empty(gatewayPublisherEmail) ? '' : gateway!.outputs.url
