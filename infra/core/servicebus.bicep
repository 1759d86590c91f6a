// The Service Bus namespace. What is in it comes from ../servicebus.json, which is computed from the agent catalog:
// adding an agent in Python and running `make topology` is all it takes.

@minLength(6)
@maxLength(50)
@description('Name of the namespace.')
param name string

param location string
param tags object

@description('Standard, or Premium, which private endpoints need and which is paid for by the hour.')
@allowed(['Standard', 'Premium'])
param sku string

@description('Whether only private endpoints reach the namespace. Needs Premium.')
param privateOnly bool

var topology = loadJsonContent('../servicebus.json')

var subscriptions = flatten(map(topology.topics, topic => map(topic.subscriptions, subscription => {
  topic: topic.name
  subscription: subscription
})))

var rules = flatten(map(subscriptions, each => map(each.subscription.rules, rule => {
  topic: each.topic
  subscription: each.subscription.name
  rule: rule
})))

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: sku == 'Premium' ? { name: sku, tier: sku, capacity: 1 } : { name: sku, tier: sku }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
  }
}

resource queues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [for queue in topology.queues: {
  parent: namespace
  name: queue.name
  properties: {
    lockDuration: queue.lockDuration
    maxDeliveryCount: queue.maxDeliveryCount
    defaultMessageTimeToLive: queue.defaultMessageTimeToLive
    deadLetteringOnMessageExpiration: queue.deadLetteringOnMessageExpiration
    requiresDuplicateDetection: queue.requiresDuplicateDetection
    duplicateDetectionHistoryTimeWindow: queue.duplicateDetectionHistoryTimeWindow
    requiresSession: queue.requiresSession
  }
}]

resource topics 'Microsoft.ServiceBus/namespaces/topics@2024-01-01' = [for topic in topology.topics: {
  parent: namespace
  name: topic.name
  properties: {
    defaultMessageTimeToLive: topic.defaultMessageTimeToLive
    requiresDuplicateDetection: topic.requiresDuplicateDetection
    duplicateDetectionHistoryTimeWindow: topic.duplicateDetectionHistoryTimeWindow
  }
}]

resource topicSubscriptions 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2024-01-01' = [for each in subscriptions: {
  name: '${name}/${each.topic}/${each.subscription.name}'
  dependsOn: [topics]
  properties: {
    lockDuration: each.subscription.lockDuration
    maxDeliveryCount: each.subscription.maxDeliveryCount
    defaultMessageTimeToLive: each.subscription.defaultMessageTimeToLive
    deadLetteringOnMessageExpiration: each.subscription.deadLetteringOnMessageExpiration
    requiresSession: each.subscription.requiresSession
  }
}]

// A rule called $Default takes the place of the one that lets everything through.
resource topicRules 'Microsoft.ServiceBus/namespaces/topics/subscriptions/rules@2024-01-01' = [for each in rules: {
  name: '${name}/${each.topic}/${each.subscription}/${each.rule.name}'
  dependsOn: [topicSubscriptions]
  properties: {
    filterType: each.rule.filterType
    correlationFilter: each.rule.?correlationFilter
    sqlFilter: each.rule.?sqlFilter
  }
}]

output id string = namespace.id
output name string = namespace.name
output hostName string = '${namespace.name}.servicebus.windows.net'
