"""What is told to somebody who tries, where a worker's words would be wrong."""

from typing import Any

import pytest

from scheduler.connectors.kit.live import Exchanged, live, shown
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Request
from worker.connectors.manifest.model import manifest_in
from worker.errors import HeadraceError, InvalidInput, NeedsOperator
from worker.parsing.documents import read_document

MANIFEST = """
manifest: 1
system: x
title: X
protocol: rest
base_url: https://x.example.com
secrets: {token: {description: A token.}, other: {description: Another., required: false}}
auth: {bearer: {secret: token}}
streams: {orders: {path: /orders, records: data, key: id}}
"""
GIVEN = {"token": "env://X_TOKEN"}


def connector() -> ManifestConnector:
    return ManifestConnector(manifest_in(read_document(MANIFEST.encode(), "manifest.yaml")))


def test_a_secret_that_the_system_does_not_know_is_told_with_the_nearest() -> None:
    with pytest.raises(InvalidInput) as caught, live(connector(), {}, {**GIVEN, "othre": "env://X"}):
        pass
    assert (caught.value.place, caught.value.hint) == ("--secret", "Did you mean 'other'?")


@pytest.mark.parametrize(
    ("code", "words"), [("secret_unresolved", "set it in this shell"), ("redirected", "with a / at its end")]
)
def test_hints_are_for_who_tries(code: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise NeedsOperator(code, "No.", hint="Start the worker again.")

    with live(connector(), {}, GIVEN) as account:
        monkeypatch.setattr(account.sender, "send", refuse)
        with pytest.raises(HeadraceError) as caught:
            account.send(Request("GET", "/orders"))
    assert words in str(caught.value.hint)


def test_where_an_answer_leads_is_shown() -> None:
    got = {"location": "https://x.example.com/orders/", "server": "x"}
    one = Exchanged("GET", "https://x.example.com/orders", {}, b"", 302, got, b"", 0.1)
    said = "\n".join(shown(one))
    assert "location: https://x.example.com/orders/" in said
    assert "server" not in said
