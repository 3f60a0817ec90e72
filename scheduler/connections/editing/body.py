"""One connection as a request's body gives it: what is wrong is told by the field's path, such as `body.settings.base_url`."""

from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.connections.file.desired import Problems
from worker.errors import InvalidInput
from worker.parsing.documents import Document, field_path, read_document

NAME = "body"


class Body(Document):
    """A document without lines."""

    def place(self, path: Sequence[str | int]) -> str:
        return f"{self.name}.{field_path(path)}" if path else self.name

    def holds(self, place: str) -> bool:
        return place == self.name or place.startswith((f"{self.name}.", f"{self.name}["))


class Mistaken(InvalidInput):
    """All that is wrong with a body. The first is said in its own words; `problems` has them all."""

    def __init__(self, problems: Sequence[InvalidInput]) -> None:
        first = problems[0]
        super().__init__(first.code, first.message, place=first.place, hint=first.hint)
        self.problems = tuple(problems)


def mistaken(found: Problems) -> Mistaken:
    """The same problems, told as a body's."""
    return Mistaken(found.problems)


def body_of(data: Mapping[str, Any]) -> Body:
    """What was read already, as a body."""
    return Body(NAME, data, {})


def read_body(content: bytes) -> Body:
    """JSON that is one object, with no key twice, no NaN, no half characters and no endless depth."""
    try:
        data = read_document(content, f"{NAME}.json").data
    except InvalidInput as exc:
        message = exc.message.replace("The file", "The body")
        raise InvalidInput("bad_json", message, place=NAME) from None
    if not isinstance(data, dict):
        raise InvalidInput("bad_value", "The body must be an object of JSON.", place=NAME)
    return body_of(data)
