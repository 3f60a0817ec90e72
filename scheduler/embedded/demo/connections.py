"""Which connections file connects Headrace to a demo system?"""

import json


def connections_document(base_url: str, token_reference: str, webhook_secret_reference: str) -> str:
    """The file's text. The references say where the secrets are (`file:///…`, `env://…`), they are never the secrets.

    JSON's strings are YAML's strings too, so nothing in a path can break the document.
    """
    return f"""\
# The demo system that ships with Headrace: a small maintenance department with a life of its own.
version: 1
connections:
  - id: demo-plant
    name: demo-plant
    system: demo
    environment: test
    settings:
      base_url: {json.dumps(base_url, ensure_ascii=False)}
    secrets:
      token: {json.dumps(token_reference, ensure_ascii=False)}
      webhook_secret: {json.dumps(webhook_secret_reference, ensure_ascii=False)}
    schedule: {{every: 1m}}
    history: all
"""
