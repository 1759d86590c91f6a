// The questions that operators ask, saved in the workspace under "Muster". `docs/operations.md` says when to ask which.

@description('Name of the Log Analytics workspace.')
param workspaceName string

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: workspaceName
}

var queries = [
  { name: 'run', title: 'One whole run', text: loadTextContent('queries/run.kql') }
  { name: 'runs', title: 'How runs ended', text: loadTextContent('queries/runs.kql') }
  { name: 'stuck-runs', title: 'Stuck runs', text: loadTextContent('queries/stuck-runs.kql') }
  { name: 'failures', title: 'Who fails most, and why', text: loadTextContent('queries/failures.kql') }
  { name: 'failure-rate', title: 'Share of runs that failed', text: loadTextContent('queries/failure-rate.kql') }
  { name: 'slowest-agents', title: 'Slowest agents', text: loadTextContent('queries/slowest-agents.kql') }
  { name: 'queue-waits', title: 'Waiting in queues', text: loadTextContent('queries/queue-waits.kql') }
  { name: 'models', title: 'Calls of models', text: loadTextContent('queries/models.kql') }
  { name: 'cost', title: 'Cost per agent and day', text: loadTextContent('queries/cost.kql') }
  { name: 'cost-per-hour', title: 'Cost per hour', text: loadTextContent('queries/cost-per-hour.kql') }
  { name: 'repeated-calls', title: 'Calls that may be paid twice', text: loadTextContent('queries/repeated-calls.kql') }
  { name: 'dead-letters', title: 'Messages given up', text: loadTextContent('queries/dead-letters.kql') }
  { name: 'open-circuits', title: 'Open circuits', text: loadTextContent('queries/open-circuits.kql') }
]

resource saved 'Microsoft.OperationalInsights/workspaces/savedSearches@2025-02-01' = [
  for query in queries: {
    parent: workspace
    name: 'muster-${query.name}'
    properties: {
      category: 'Muster'
      displayName: query.title
      query: query.text
      version: 2
    }
  }
]
