// An Azure OpenAI account with one deployment, reached with the app's identity.

@minLength(2)
@maxLength(64)
@description('Name of the account, and of its subdomain.')
param name string

param location string
param tags object

@description('The model that is deployed, and the name of its deployment.')
param modelName string

@description('Version of the model.')
param modelVersion string

@description('Thousands of tokens a minute.')
@minValue(1)
param capacity int

@description('Whether only private endpoints reach the account.')
param privateOnly bool

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'OpenAI'
  sku: { name: 'S0' }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
  }
}

resource deployment 'Microsoft.CognitiveServices/accounts/deployments@2025-06-01' = {
  parent: account
  name: modelName
  sku: { name: 'GlobalStandard', capacity: capacity }
  properties: {
    model: { format: 'OpenAI', name: modelName, version: modelVersion }
  }
}

output id string = account.id
output name string = account.name
output baseUrl string = '${account.properties.endpoint}openai/v1/'
output deploymentName string = deployment.name
