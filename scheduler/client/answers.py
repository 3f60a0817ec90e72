"""What an answer of the API holds; `nonsense` where it holds something else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from scheduler.client import models
from scheduler.client.errors import nonsense
from scheduler.client.raw import items_of, values_of

Model = TypeVar("Model")


def json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise nonsense(response) from None


def field_of(response: httpx.Response, name: str) -> Any:
    found = json_of(response)
    if not isinstance(found, dict) or name not in found:
        raise nonsense(response)
    return found[name]


def list_of(response: httpx.Response, name: str) -> list[Any]:
    found = field_of(response, name)
    if not isinstance(found, list):
        raise nonsense(response)
    return found


def read_as(kind: type[Model], data: Any, response: httpx.Response) -> Model:
    try:
        return models.read(kind, data)
    except ValueError:
        raise nonsense(response) from None


def fields_of(response: httpx.Response) -> dict[str, tuple[Any, str]]:
    """Each field's value and its own text."""
    try:
        return {name: (value, text) for name, value, text in values_of(response.text)}
    except ValueError:
        raise nonsense(response) from None


def texts_in(found: Mapping[str, tuple[Any, str]], name: str, response: httpx.Response) -> list[str]:
    try:
        return list(items_of(found[name][1]))
    except (KeyError, ValueError):
        raise nonsense(response) from None


def record_of(text: str, response: httpx.Response) -> models.Record:
    try:
        fields = {name: (value, raw) for name, value, raw in values_of(text)}
        told = {name: value for name, (value, _) in fields.items()}
        return replace(models.read(models.Record, told), raw=fields["record"][1])
    except (KeyError, ValueError):
        raise nonsense(response) from None
