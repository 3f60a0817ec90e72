"""The connections file for the demo is YAML, whatever is in it."""

import pytest
import yaml

from scheduler.embedded.demo import connections_document


@pytest.mark.parametrize("path", ["/tmp/t", '/tmp/it\'s "here": #1', "/tmp/Mühle 📷", "/tmp/{a}"])
def test_the_document_names_the_reference_and_the_address(path: str) -> None:
    document = yaml.safe_load(
        connections_document("http://127.0.0.1:4711", f"file://{path}", f"file://{path}-2")
    )
    assert document == {
        "version": 1,
        "connections": [
            {
                "id": "demo-plant",
                "name": "demo-plant",
                "system": "demo",
                "environment": "test",
                "settings": {"base_url": "http://127.0.0.1:4711"},
                "secrets": {"token": f"file://{path}", "webhook_secret": f"file://{path}-2"},
                "schedule": {"every": "1m"},
                "history": "all",
            }
        ],
    }
