"""What does a manifest say of a stream's requests? Its method, headers, body, conditions and where values go."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from worker.connectors.manifest.templates import fill_all, fill_path
from worker.connectors.paging.headers import Told, told_of
from worker.connectors.requests.conditions import Condition, Conditions
from worker.connectors.requests.draft import Arrays, Outline, Where, spread
from worker.connectors.requests.templates import MISSING, fill_json, fill_text, names_of

RESERVED = frozenset({"value", "key", "conditions"})
"""Names in templates that are filled as requests are made, and are no settings."""
BODY_KEYS = ("body", "where", "conditions", "filters", "incremental", "paging")
WITHOUT_BODY = frozenset({"GET", "HEAD"})

Complain = Callable[[Sequence[str], str], Exception]


@dataclass(frozen=True, slots=True)
class Cost:
    """How much of the account's limits a request takes, where that isn't one."""

    request: int = 1
    record: int = 0
    """For each record that is asked for."""

    def of(self, records: int) -> int:
        return max(1, self.request + self.record * records)

    @classmethod
    def read(cls, found: int | Mapping[str, int]) -> "Cost":
        return cls(found) if isinstance(found, int) else cls(**found)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a stream's pages are asked for."""

    method: str = "GET"
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    body: Any = None
    verbatim: Mapping[str, str] = field(default_factory=dict)
    """Fields of the body whose braces are no names: the query of GraphQL."""
    arrays: Arrays = "repeat"
    paging_in: Where = "query"
    changes_in: Where = "query"
    ends: frozenset[int] = frozenset()
    """Statuses by which the system says that there is nothing beyond."""
    cap: int = 0
    """So many records does the system show of one question, in pages; 0: all."""
    cost: Cost | None = None
    told: Told | None = None
    """What headers of an answer say of its place among the pages."""
    conditions: Conditions | None = None
    every: tuple[Condition, ...] = ()
    """Conditions of all requests."""
    since: Condition | None = None
    until: Condition | None = None
    behind: Condition | None = None
    """What asks for the records behind the last one: {0}, {1} are its fields."""
    by: Mapping[str, Condition] = field(default_factory=dict)
    """Conditions by the name of a filter, about {value}."""

    @property
    def changes_by_condition(self) -> bool:
        return self.since is not None

    def outline(self, base_url: str, common: "Common", settings: Mapping[str, Any]) -> Outline:
        """With a connection's settings in their places."""
        body = _merged(common.body, fill_json(self.body, settings) if self.body is not None else None)
        if self.verbatim:
            body = {**self.verbatim, **(body if isinstance(body, Mapping) else {})}
        return Outline(
            self.method,
            base_url + fill_path(self.path, settings),
            {**common.headers, **fill_all(self.headers, settings)},
            [*common.params, *fill_params(self.params, settings, self.arrays)],
            None if body is MISSING else body,
        )

    def bound(self, settings: Mapping[str, Any]) -> "Asked":
        """The same with a connection's settings in its conditions and the text around them."""
        known = self.conditions
        if known is None:
            return self
        template = None if known.template is None else fill_text(known.template, settings, known.quote)

        def of(condition: Condition | None) -> Condition | None:
            return None if condition is None else known.filled(condition, settings)

        return replace(
            self,
            conditions=replace(known, template=template),
            since=of(self.since),
            until=of(self.until),
            behind=of(self.behind),
        )

    def always(self, settings: Mapping[str, Any]) -> list[Condition]:
        """The conditions of all requests; one whose setting isn't given is left out."""
        assert self.conditions is not None  # noqa: S101 - read_asked sees to it
        lacking = {name for name, value in settings.items() if value is None}
        wanted = [one for one in self.every if not lacking & {name for _, name in names_of(one)}]
        return [self.conditions.filled(one, settings) for one in wanted]


@dataclass(frozen=True, slots=True)
class Common:
    """What all requests of a connection carry."""

    headers: Mapping[str, str]
    params: Sequence[tuple[str, str]]
    body: Any = None


def fill_params(
    params: Mapping[str, str | Sequence[str]], settings: Mapping[str, Any], arrays: Arrays = "repeat"
) -> list[tuple[str, str]]:
    """Names and filled texts; what has several values, as the system wants them."""
    found: list[tuple[str, str]] = []
    for name, value in params.items():
        if isinstance(value, str):
            found += fill_all({name: value}, settings).items()
        else:
            found += spread(
                name, [*fill_all({str(at): text for at, text in enumerate(value)}, settings).values()], arrays
            )
    return found


def read_asked(data: Mapping[str, Any], complain: Complain) -> Asked:
    """The stream's own words; the schema has been checked already."""
    incremental, paging = data.get("incremental", {}), _options(data.get("paging", {}))
    filters = data.get("filters", {})
    if "conditions" in data and "param" not in data["conditions"]:
        raise complain(
            ("conditions",), "conditions say by `param` where they go: a parameter, or a path in the body."
        )
    conditions = Conditions(**_renamed(data["conditions"])) if "conditions" in data else None
    told = [("where",)] * bool(data.get("where")) + [
        (group, key)
        for group, found, keys in (
            ("incremental", incremental, ("since", "until")),
            ("paging", paging, ("behind",)),
            ("single", data.get("single", {}), ("by",)),
        )
        for key in keys
        if key in found
    ]
    if conditions is None and (told or (isinstance(filters, Mapping) and filters)):
        where = told[0] if told else ("filters",)
        raise complain(
            where, f"{'.'.join(where)} is a condition: say under `conditions` where conditions go."
        )
    if conditions is not None and conditions.join is not None:
        _check_texts(data, incremental, paging, complain)
    method = data.get("method", "POST" if data.get("body") is not None else "GET")
    places = [conditions.where if conditions else "query", paging.get("in"), incremental.get("in")]
    if method in WITHOUT_BODY and (data.get("body") is not None or "body" in places):
        raise complain(("method",), f"{method} has no body: say method: POST.")
    return Asked(
        method=method,
        path=data.get("path", ""),
        headers={**data.get("headers", {}), **_content_type(data)},
        params=data.get("params", {}),
        body=data.get("body"),
        verbatim=data.get("verbatim", {}),
        arrays=data.get("arrays", "repeat"),
        paging_in=paging.get("in", "query"),
        changes_in=incremental.get("in", "query"),
        ends=frozenset(paging.get("ends", ())),
        cap=paging.get("cap", 0),
        cost=Cost.read(data["cost"]) if "cost" in data else None,
        told=told_of(data),
        conditions=conditions,
        every=tuple(data.get("where", ())),
        since=incremental.get("since"),
        until=incremental.get("until"),
        behind=paging.get("behind"),
        by=filters if isinstance(filters, Mapping) else {},
    )


def _check_texts(
    data: Mapping[str, Any], incremental: Mapping[str, Any], paging: Mapping[str, Any], complain: Complain
) -> None:
    """What is joined is a text, or a text with marks and its values."""
    filters = data.get("filters", {})
    said = [(("where",), one) for one in data.get("where", ())]
    said += [(("incremental",), incremental[key]) for key in ("since", "until") if key in incremental]
    said += [(("paging",), paging["behind"])] if "behind" in paging else []
    said += [(("filters",), one) for one in (filters.values() if isinstance(filters, Mapping) else ())]
    for where, condition in said:
        if not (
            isinstance(condition, str)
            or (isinstance(condition, Mapping) and {*condition} == {"text", "values"})
        ):
            raise complain(where, "conditions that are joined are texts, or {text, values} each.")


def templates_in(found: Mapping[str, Any], where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The settings that a stream's body, headers and conditions name, and where they stand."""
    conditions = {key: found[key] for key in ("body", "where") if key in found}
    conditions |= {"conditions": found.get("conditions", {}).get("template")}
    conditions |= {"incremental": {key: found.get("incremental", {}).get(key) for key in ("since", "until")}}
    conditions |= {"single": {key: found.get("single", {}).get(key) for key in ("body", "variables", "by")}}
    for key, value in conditions.items():
        for path, name in names_of(value):
            if name not in RESERVED and not name.isdigit():
                yield (*where, key, *(str(part) for part in path)), name


def _options(paging: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(iter(paging.values()), {})
    return found


def _renamed(found: Mapping[str, Any]) -> dict[str, Any]:
    return {{"in": "where"}.get(name, name): value for name, value in found.items()}


def _content_type(data: Mapping[str, Any]) -> dict[str, str]:
    return {"Content-Type": data["content_type"]} if "content_type" in data else {}


def _merged(common: Any, own: Any) -> Any:
    if common is None or own is None:
        return common if own is None else own
    return {**common, **own} if isinstance(common, Mapping) and isinstance(own, Mapping) else own
