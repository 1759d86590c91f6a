"""Language models: `model.ModelClient`, its adapter on the `openai` client, and its scripted twin."""
