// The vault for the one secret there can be: the key of a model endpoint that knows no Entra ID identities.

@minLength(3)
@maxLength(24)
@description('Name of the vault.')
param name string

param location string
param tags object

@secure()
@description('The key that the vault keeps.')
param modelApiKey string

@description('Whether only private endpoints reach the vault.')
param privateOnly bool

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateOnly ? 'Deny' : 'Allow'
    }
  }
}

resource modelKey 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = {
  parent: vault
  name: 'model-api-key'
  properties: { value: modelApiKey }
}

output id string = vault.id
output name string = vault.name
output modelKeyReference string = '@Microsoft.KeyVault(SecretUri=${modelKey.properties.secretUri})'
