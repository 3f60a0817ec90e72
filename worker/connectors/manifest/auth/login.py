"""What does a manifest say of logging in? The section `auth: {login: …}`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from worker.connectors.auth.bodies import Place
from worker.connectors.auth.login import Leaving, LoginAuth
from worker.connectors.auth.opening import Lasting, Opening, Taken
from worker.connectors.auth.texts import Names, Text
from worker.connectors.manifest.auth.texts import (
    check_address,
    check_json,
    credential,
    optional_secrets,
    read_places,
    read_texts,
)
from worker.connectors.manifest.checking import check_credential
from worker.connectors.manifest.errors import read_errors
from worker.connectors.manifest.templates import fill_base_url, fill_path
from worker.connectors.reading.shape import field_path_of
from worker.connectors.refusals.refusals import Refusals
from worker.parsing.documents import Document
from worker.parsing.durations import parse_duration

_AT = ("auth", "login")
_UNITS = {"s": 1.0, "m": 1 / 60, "ms": 1000.0}
Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LoginManifest:
    """A log-in, before the settings of a connection are known."""

    request: Found
    headers: Mapping[str, Text]
    """Of the log-in."""
    form: Mapping[str, Text] | None
    take: Mapping[str, Taken]
    cookies: Collection[str] | None
    lasting: Lasting
    session: Mapping[str, Text]
    """Headers of what follows."""
    logout: Found | None
    places: tuple[Place, ...]
    optional: frozenset[str]
    rolling: bool
    """Cookies of later answers are followed."""
    refusals: Refusals
    """How the system says no, in words of its own."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it logs in, if that is an address of its own."""
        return (self.request["url"],) if "url" in self.request else ()

    def bind(self, settings: Mapping[str, Any]) -> LoginAuth:
        """The auth of one connection."""
        user = self.request.get("basic")
        opening = Opening(
            method=self.request.get("method", "POST"),
            url=_address(self.request, settings),
            headers=self.headers,
            basic=None
            if user is None
            else (credential(user["username"], settings), credential(user["password"], settings)),
            json=self.request.get("json"),
            form=self.form,
            take=self.take,
            cookies=self.cookies,
            lasting=self.lasting,
            meaning=self.refusals.failure,
        )
        leaving = None
        if self.logout is not None:
            method = self.logout.get("method", "POST")
            leaving = Leaving(method, _address(self.logout, settings), self.logout.get("json"))
        names = Names.of(settings, self.optional)
        return LoginAuth(opening, names, self.session, leaving, self.places, self.rolling)


def read_login(document: Document, found: Found) -> LoginManifest:
    """The section, checked for what a schema can't see."""
    request = found["request"]
    where = (*_AT, "request")
    _check_address(document, where, request)
    if "json" in request and "form" in request:
        message = "A log-in has one body: json or form."
        raise document.error((*where, "form"), "bad_value", message)
    if "basic" in request:
        for part in ("username", "password"):
            check_credential(document, (*where, "basic", part), request["basic"][part])
    check_json(document, (*where, "json"), request.get("json"))
    if "logout" in found:
        _check_address(document, (*_AT, "logout"), found["logout"])
        check_json(document, (*_AT, "logout", "json"), found["logout"].get("json"))
    take = {name: _taken(place) for name, place in found.get("take", {}).items()}
    cookies = found.get("cookies", ())
    if not take and not cookies:
        message = "Of a log-in something must be kept: take a value of its answer, or cookies."
        raise document.error(_AT, "missing_key", message)
    if "rolling" in found and not cookies:
        message = "rolling is about cookies of later answers, and none are kept: name them in cookies."
        raise document.error((*_AT, "rolling"), "bad_value", message)
    _check_taken(document, take)
    session = read_texts(document, (*_AT, "headers"), found.get("headers", {}), take)
    places = read_places(document, (*_AT, "body"), found.get("body", {}), take)
    if take and not session and not places:
        message = "What is taken of the answer goes nowhere: say in headers or body where."
        raise document.error((*_AT, "take"), "missing_key", message)
    form = read_texts(document, (*where, "form"), request["form"]) if "form" in request else None
    return LoginManifest(
        request=request,
        headers=read_texts(document, (*where, "headers"), request.get("headers", {})),
        form=form,
        take=take,
        cookies=None if cookies == "all" else frozenset(cookies),
        lasting=_lasting(found),
        session=session,
        logout=found.get("logout"),
        places=places,
        optional=optional_secrets(document),
        rolling=found.get("rolling", False),
        refusals=read_errors(document),
    )


def _check_address(document: Document, where: tuple[str, ...], found: Found) -> None:
    if ("path" in found) == ("url" in found):
        message = "A request goes to a path (behind the base URL) or a url: one of them."
        raise document.error(where, "missing_key", message)
    part = "path" if "path" in found else "url"
    check_address(document, (*where, part), found[part])


def _address(found: Found, settings: Mapping[str, Any]) -> str:
    return fill_path(found["path"], settings) if "path" in found else fill_base_url(found["url"], settings)


def _check_taken(document: Document, take: Mapping[str, Taken]) -> None:
    """What is taken has names of its own, so that nobody mistakes it for what the connection says."""
    for name in take:
        for kind in ("settings", "secrets"):
            if name in document.data.get(kind, {}):
                message = f"{name} is among the {kind} already; what the log-in brings has another name."
                raise document.error((*_AT, "take", name), "bad_value", message)


def _taken(place: Any) -> Taken:
    if isinstance(place, Mapping):
        return Taken(header=place["header"].lower())
    return Taken(field_path_of(place))


def _lasting(found: Found) -> Lasting:
    expires = found.get("expires", {})
    return Lasting(
        seconds=field_path_of(expires["in"]) if "in" in expires else None,
        per_second=_UNITS[expires.get("unit", "s")],
        at=field_path_of(expires["at"]) if "at" in expires else None,
        form=expires.get("format", "iso8601"),
        otherwise=parse_duration(found["lasts"]) if "lasts" in found else None,
    )
