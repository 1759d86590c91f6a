"""A stand-in for a model where there is no key and no network: it thinks nothing and says so in every text.

Its answers depend only on the request, so that a run can be repeated word for word. It speaks the chat completions
protocol, so that the stock `openai` client has something to talk to, and knows nothing of the app that asks.
"""
