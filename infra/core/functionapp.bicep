// The function app on Flex Consumption: scales to zero, each agent's queue on its own.

@maxLength(60)
@description('Name of the app.')
param name string

@maxLength(40)
@description('Name of its plan. Flex Consumption has one plan for each app.')
param planName string

param location string
param tags object

@description('Resource id of the identity that the app runs as.')
param identityId string

@description('Where the package lies: the URL of its container.')
param packageUrl string

@description('The application settings, by name.')
param settings object

@description('Memory of an instance in MB. It decides the share of processor, too.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int

@description('How many instances each function group may have at most.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int

@description('Instances that are always there to answer HTTP, and paid for. 0 scales to zero.')
@minValue(0)
param alwaysReadyHttp int

@description('Subnet that the app is joined to; empty for none.')
param subnetId string

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      appSettings: map(items(settings), setting => { name: setting.key, value: setting.value })
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageUrl
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyHttp > 0 ? [{ name: 'http', instanceCount: alwaysReadyHttp }] : []
        // Its default for Python is 1: one slow request would bring a new instance with every further one.
        triggers: { http: { perInstanceConcurrency: 16 } }
      }
      runtime: { name: 'python', version: '3.13' }
    }
  }
}

output id string = app.id
output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
