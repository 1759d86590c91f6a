// The Durable Task Scheduler: keeps the orchestrations. It knows identities only, so there is no key to turn off.

@minLength(3)
@maxLength(64)
@description('Name of the scheduler.')
param name string

@description('Name of the task hub. One app has one: two apps on one hub would take each other\'s work.')
param taskHubName string

param location string
param tags object

@description('Consumption is paid for by the action; Dedicated by the hour.')
@allowed(['Consumption', 'Dedicated'])
param sku string = 'Consumption'

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: sku }
    // An empty list lets nobody in.
    ipAllowlist: ['0.0.0.0/0']
  }
}

resource taskHub 'Microsoft.DurableTask/schedulers/taskHubs@2025-11-01' = {
  parent: scheduler
  name: taskHubName
}

output name string = scheduler.name
output endpoint string = scheduler.properties.endpoint
output taskHubName string = taskHub.name
