"""Which settings sound like secrets?"""

from typing import Any

import pytest

from scheduler.connections.file.secrecy import secret_paths, sounds_secret


@pytest.mark.parametrize(
    "name",
    ["password", "db_password", "token", "api_key", "apiKey", "apikey", "api-key", "client_secret", "clientSecret",
     "secret", "private_key", "access_key", "subscription-key", "Authorization", "credentials"],
)  # fmt: skip
def test_a_plain_value_under_such_a_name_is_a_secret(name: str) -> None:
    assert sounds_secret(name, "x")


@pytest.mark.parametrize(
    ("name", "value"),
    [("token_url", "https://x/oauth/token"), ("base_url", "http://x:8080/a@b"), ("keyspace", "x"), ("tokens_per_minute", 5),
     ("secret_rotation", "daily"), ("password", None), ("use_token", True), ("monkey", "x"), ("primary_key", "id"),
     ("base_url", "https://x/?page_token_style=opaque")],
)  # fmt: skip
def test_ordinary_settings_are_not(name: str, value: Any) -> None:
    assert not sounds_secret(name, value)


@pytest.mark.parametrize(
    "url", ["https://me:pw@host/x", "postgres://a:b@c", "https://host/?api_key=1", "https://h/x?a=1&token=2"]
)
def test_a_url_that_carries_one_is_a_secret_under_any_name(url: str) -> None:
    assert sounds_secret("base_url", url)


def test_secrets_are_found_however_deep() -> None:
    settings = {
        "a": [{"password": "x"}],
        "headers": {"Authorization": "x"},
        "fine": {"deep": ["x"]},
        "keys": {"token": ["x"]},
    }
    assert set(secret_paths(settings)) == {
        ("a", 0, "password"),
        ("headers", "Authorization"),
        ("keys", "token", 0),
    }
