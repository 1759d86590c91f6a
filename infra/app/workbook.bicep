// One page with how the app does. `make workbook` writes it from the queries.

param location string
param tags object

@description('Resource id of the Log Analytics workspace that it asks.')
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'muster-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Muster'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: loadTextContent('workbook.json')
  }
}
