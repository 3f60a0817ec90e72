"""How is a client loaded that not everybody needs? When a reference of its kind is first opened."""

import logging
from importlib import import_module
from typing import Any

from worker.errors import NeedsOperator

_TALKATIVE = ("azure", "boto3", "botocore", "hvac", "msal", "s3transfer", "urllib3")
"""For debugging they log what they send and receive: with values that nobody knows for secrets yet."""


def load(scheme: str, extra: str, *modules: str) -> list[Any]:
    """The client's modules, or `NeedsOperator` that says how to install it."""
    for logger in _TALKATIVE:
        logging.getLogger(logger).setLevel(logging.WARNING)
    try:
        return [import_module(module) for module in modules]
    except ImportError as exc:
        if (exc.name or "").split(".")[0] not in {module.split(".")[0] for module in modules}:
            raise  # it is there, and broken
        raise NeedsOperator(
            "secret_client_missing",
            f"The client that opens {scheme}:// isn't installed.",
            hint=f"Install it with the extra: pip install 'headrace[{extra}]'",
        ) from None


def login_refused(store: str, why: str, hint: str) -> NeedsOperator:
    """The store doesn't let us in: no reference of it can be opened until a person mends that."""
    return NeedsOperator(
        "secret_store_login", f"The secret store {store} doesn't let Headrace in: {why}.", hint=hint
    )
