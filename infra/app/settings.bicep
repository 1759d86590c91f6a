// The application settings. Nothing secret is among them: a key is a reference to the vault.

@description('Client id of the app\'s identity.')
param clientId string

@description('Name of the storage account that the host works with.')
param storageName string

@description('URL of the container for artifacts.')
param artifactUrl string

@description('Host name of the Service Bus namespace.')
param serviceBusHostName string

@description('Endpoint of the Cosmos DB account.')
param cosmosEndpoint string

@description('Name of the database in it.')
param cosmosDatabase string

@description('Days after which finished runs are deleted. 0 keeps them for ever.')
param retentionDays int

@description('Connection string of Application Insights. It names the place; the identity opens it.')
param insightsConnectionString string

@description('Endpoint of the Durable Task Scheduler; empty when orchestrations are kept in Azure Storage.')
param schedulerEndpoint string

@description('Name of the task hub.')
param taskHubName string

@description('OpenAI-compatible endpoint of the model.')
param modelBaseUrl string

@description('The model, or the name of its deployment.')
param modelName string

@description('Reference to the endpoint\'s key in the vault; empty for none.')
param modelKeyReference string

var host = {
  AzureWebJobsStorage__accountName: storageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: clientId
  ServiceBusConnection__fullyQualifiedNamespace: serviceBusHostName
  ServiceBusConnection__credential: 'managedidentity'
  ServiceBusConnection__clientId: clientId
  CosmosConnection__accountEndpoint: cosmosEndpoint
  CosmosConnection__credential: 'managedidentity'
  CosmosConnection__clientId: clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'
  PYTHON_ENABLE_OPENTELEMETRY: 'true'
  AzureFunctionsJobHost__extensions__durableTask__hubName: taskHubName
}

// host.json names no storage provider, so that one package runs on either.
var scheduler = empty(schedulerEndpoint)
  ? {}
  : {
      AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
      AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
      DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${schedulerEndpoint};Authentication=ManagedIdentity;ClientID=${clientId}'
    }

var app = {
  AZURE_CLIENT_ID: clientId
  MUSTER_STATE: 'cosmos'
  MUSTER_COSMOS_DATABASE: cosmosDatabase
  MUSTER_RETENTION_DAYS: string(retentionDays)
  MUSTER_ARTIFACTS_URL: artifactUrl
  MUSTER_MODEL_BASE_URL: modelBaseUrl
  MUSTER_MODEL_NAME: modelName
  MUSTER_TELEMETRY: 'azure-monitor'
}

var modelKey = empty(modelKeyReference) ? {} : { MUSTER_MODEL_API_KEY: modelKeyReference }

output values object = union(host, scheduler, app, modelKey)
