// What a person is told of without looking. `docs/deploy.md` says what to do about each.

param location string
param tags object

@description('Resource id of the Service Bus namespace.')
param serviceBusId string

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('Who is told by mail; empty for nobody.')
param email string

@description('Percent of an hour\'s runs that may fail.')
@minValue(1)
@maxValue(100)
param failurePercent int

@description('US dollars that the models may cost in an hour.')
@minValue(1)
param costPerHour int

// Every rule asks each quarter of an hour: asking more often costs more, and nothing here is lost by minutes.
var rules = [
  {
    name: 'failure-rate'
    says: 'More runs fail than may.'
    query: loadTextContent('queries/failure-rate.kql')
    column: 'Percent'
    aggregation: 'Maximum'
    threshold: failurePercent
    window: 'PT1H'
    severity: 2
  }
  {
    name: 'stuck-runs'
    says: 'Runs began, did not end, and nothing is heard of them.'
    query: loadTextContent('queries/stuck-runs.kql')
    column: null
    aggregation: 'Count'
    threshold: 0
    window: 'P1D'
    severity: 3
  }
  {
    name: 'cost-per-hour'
    says: 'The models cost more within an hour than they may.'
    query: loadTextContent('queries/cost-per-hour.kql')
    column: 'CostUsd'
    aggregation: 'Total'
    threshold: costPerHour
    window: 'PT1H'
    severity: 2
  }
  {
    name: 'open-circuits'
    says: 'An agent or a model endpoint is not asked, because it failed too often.'
    query: loadTextContent('queries/open-circuits.kql')
    column: null
    aggregation: 'Count'
    threshold: 0
    window: 'P1D'
    severity: 2
  }
]

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'muster-operators'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'muster'
    emailReceivers: [{ name: 'operators', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'muster-dead-letters'
  location: 'global'
  tags: tags
  properties: {
    description: 'A queue or a subscription has dead letters.'
    severity: 2
    enabled: true
    scopes: [serviceBusId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'dead-letters'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'DeadletteredMessages'
          dimensions: [{ name: 'EntityName', operator: 'Include', values: ['*'] }]
          timeAggregation: 'Maximum'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    autoMitigate: true
    actions: empty(email) ? [] : [{ actionGroupId: operators.id }]
  }
}

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: 'muster-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'muster-${rule.name}'
      description: rule.says
      severity: rule.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: 'PT15M'
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            metricMeasureColumn: rule.column
            timeAggregation: rule.aggregation
            operator: 'GreaterThan'
            threshold: rule.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      // A workspace that is minutes old may not know its tables yet. The tests parse the queries.
      skipQueryValidation: true
      autoMitigate: true
      actions: { actionGroups: empty(email) ? [] : [operators.id] }
    }
  }
]
