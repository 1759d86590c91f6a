// API Management in front of the HTTP API, when asked for: subscription keys and a rate limit for callers from outside.

@minLength(1)
@maxLength(50)
@description('Name of the service.')
param name string

param location string
param tags object

@description('Who gets the service\'s notices.')
param publisherEmail string

@description('Name of the function app that answers.')
param functionAppName string

@description('Calls a minute for each subscription.')
@minValue(1)
param callsPerMinute int = 60

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

resource service 'Microsoft.ApiManagement/service@2024-05-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Consumption', capacity: 0 }
  properties: {
    publisherEmail: publisherEmail
    publisherName: 'Muster'
  }
}

// The app still asks for a function key, so that its own address is no way around the gateway.
resource functionKey 'Microsoft.ApiManagement/service/namedValues@2024-05-01' = {
  parent: service
  name: 'function-key'
  properties: {
    displayName: 'function-key'
    secret: true
    value: listKeys('${app.id}/host/default', '2025-03-01').functionKeys.default
  }
}

resource api 'Microsoft.ApiManagement/service/apis@2024-05-01' = {
  parent: service
  name: 'muster'
  properties: {
    displayName: 'Muster'
    path: 'muster'
    protocols: ['https']
    serviceUrl: 'https://${app.properties.defaultHostName}/api'
    subscriptionRequired: true
  }
}

resource operations 'Microsoft.ApiManagement/service/apis/operations@2024-05-01' = [for method in ['GET', 'POST', 'DELETE']: {
  parent: api
  name: toLower(method)
  properties: {
    displayName: method
    method: method
    urlTemplate: '/*'
  }
}]

resource policy 'Microsoft.ApiManagement/service/apis/policies@2024-05-01' = {
  parent: api
  name: 'policy'
  dependsOn: [functionKey]
  properties: {
    format: 'rawxml'
    value: replace(loadTextContent('gateway-policy.xml'), 'CALLS_PER_MINUTE', string(callsPerMinute))
  }
}

output url string = '${service.properties.gatewayUrl}/muster'
