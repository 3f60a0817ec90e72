"""Tokens that are made by tests and gone after them."""

from collections.abc import Iterator

import pytest
from servers.installation.application import Application
from servers.rows.customers import Customers


@pytest.fixture
def admin(customers: Customers) -> Iterator[Application]:
    """An admin of live without limits; afterwards there are no tokens but the first."""
    yield customers.api()
    customers.database.run("DELETE FROM tokens WHERE name <> 'bootstrap'")
