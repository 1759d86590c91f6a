// The storage account: the app's package, the host's own blobs, the artifacts of runs, and, when orchestrations are
// kept in Azure Storage, their queues and tables. Shared keys are off: everything is reached with the app's identity.

@minLength(3)
@maxLength(24)
@description('Name of the account: lower-case letters and digits.')
param name string

param location string
param tags object

@description('Name of the container that holds the app package.')
param packageContainer string

@description('Name of the container that holds articles, long inputs and outputs.')
param artifactContainer string

@description('Days after which an artifact that nobody wrote again is deleted. 0 keeps artifacts for ever.')
@minValue(0)
param artifactRetentionDays int

@description('Whether only private endpoints reach the account.')
param privateOnly bool

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateOnly ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 7 }
  }
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: packageContainer
  properties: { publicAccess: 'None' }
}

resource artifacts 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: artifactContainer
  properties: { publicAccess: 'None' }
}

resource retention 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = if (artifactRetentionDays > 0) {
  parent: account
  name: 'default'
  dependsOn: [artifacts]
  properties: {
    policy: {
      rules: [
        {
          name: 'artifacts'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${artifactContainer}/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: artifactRetentionDays } } }
          }
        }
      ]
    }
  }
}

output id string = account.id
output name string = account.name
output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
output tableEndpoint string = account.properties.primaryEndpoints.table
