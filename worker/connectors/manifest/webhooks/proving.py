"""What does a manifest say of how webhooks are proved? `webhooks.verify` becomes schemes, `webhooks.handshake` what is answered.

verify: {standard: {secret: webhook_secret}}                      # Standard Webhooks; headers: svix for Svix
verify: {timestamped: {secret: webhook_secret, header: X-Signature}}   # t=…,v1=…
verify: {hmac: {secret: webhook_secret, header: X-Hub-Signature-256, prefix: "sha256="}}
verify: {header: {name: X-Token, secret: token}}
verify: {field: {path: "value.*.clientState", secret: client_state}}
verify: {path: {secret: url_secret}}                              # /webhooks/<connection>/<secret>

A list of such: all must hold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from worker.connectors.reading.shape import field_path_of
from worker.parsing.documents import Document, suggest
from worker.parsing.durations import parse_duration
from worker.webhooks.handshake import Challenge, Echo, Handshake
from worker.webhooks.schemes import Field, Header, Hmac, Scheme, SecretPath
from worker.webhooks.signing import Key, Signed
from worker.webhooks.times import TOLERANCE

AT = ("webhooks",)
Found = Mapping[str, Any]


def read_schemes(document: Document) -> tuple[Scheme, ...]:
    """All of them, in their order."""
    found = document.data["webhooks"]["verify"]
    return tuple(
        _KINDS[kind](document, (*where, kind), about)
        for where, one in _each(found, (*AT, "verify"))
        for kind, about in one.items()
    )


def _each(found: Any, where: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Found]]:
    if isinstance(found, Sequence):
        yield from (((*where, number), one) for number, one in enumerate(found))
    else:
        yield where, found


def names_of(document: Document, where: Sequence[str | int], found: Found) -> tuple[str, ...]:
    """The secrets that something names: one, or several of which each counts."""
    given = found["secret"]
    names = (given,) if isinstance(given, str) else tuple(given)
    known = document.data.get("secrets", {})
    for name in names:
        if name not in known:
            message = f"There is no secret {name!r} in this manifest."
            raise document.error((*where, "secret"), "bad_value", message, hint=suggest(name, known) or None)
    return names


def _hmac(document: Document, where: Sequence[str | int], found: Found) -> Hmac:
    header = found["header"].lower()
    time: Found = found.get("timestamp", {})
    signed = Signed(found.get("signed", "{body}"))
    scheme = Hmac(
        secrets=names_of(document, where, found),
        header=header,
        algorithm=found.get("algorithm", "sha256"),
        encoding=found.get("encoding", "hex"),
        prefix=found.get("prefix", ""),
        signed=signed,
        key=_key(found),
        time_header=time["header"].lower() if time else None,
        time_form=time.get("format", "epoch_s"),
        tolerance=_tolerance(found),
    )
    _check_signed(document, (*where, "signed"), scheme)
    return scheme


def _timestamped(document: Document, where: Sequence[str | int], found: Found) -> Hmac:
    scheme = Hmac(
        secrets=names_of(document, where, found),
        header=found["header"].lower(),
        algorithm=found.get("algorithm", "sha256"),
        encoding=found.get("encoding", "hex"),
        signed=Signed(found.get("signed", "{timestamp}.{body}")),
        key=_key(found),
        pairs="=",
        separator=found.get("separator", ","),
        version=found.get("signature", "v1"),
        time_name=found.get("timestamp", "t"),
        time_form=found.get("format", "epoch_s"),
        tolerance=_tolerance(found),
    )
    _check_signed(document, (*where, "signed"), scheme)
    return scheme


def _standard(document: Document, where: Sequence[str | int], found: Found) -> Hmac:
    """Standard Webhooks (https://www.standardwebhooks.com); Svix names its headers otherwise."""
    first = found.get("headers", "webhook")
    return Hmac(
        secrets=names_of(document, where, found),
        header=f"{first}-signature",
        encoding="base64",
        signed=Signed(f"{{header:{first}-id}}.{{timestamp}}.{{body}}"),
        key=Key("base64", "whsec_"),
        pairs=",",
        separator=" ",
        time_header=f"{first}-timestamp",
        tolerance=_tolerance(found),
    )


def _header(document: Document, where: Sequence[str | int], found: Found) -> Header:
    return Header(names_of(document, where, found), found["name"].lower(), found.get("prefix", ""))


def _field(document: Document, where: Sequence[str | int], found: Found) -> Field:
    return Field(names_of(document, where, found), field_path_of(found["path"]))


def _path(document: Document, where: Sequence[str | int], found: Found) -> SecretPath:
    return SecretPath(names_of(document, where, found))


_KINDS: Mapping[str, Callable[[Document, Sequence[str | int], Found], Scheme]] = {
    "standard": _standard,
    "timestamped": _timestamped,
    "hmac": _hmac,
    "header": _header,
    "field": _field,
    "path": _path,
}


def _key(found: Found) -> Key:
    return Key(found.get("key", "text"), found.get("key_prefix", ""))


def _tolerance(found: Found) -> float:
    return parse_duration(found["tolerance"]) if "tolerance" in found else TOLERANCE


def _check_signed(document: Document, where: Sequence[str | int], scheme: Hmac) -> None:
    """An age that isn't signed says nothing, and a signed text without any part of the request fits every one."""
    holes = scheme.signed.holes
    fault = scheme.signed.fault()
    timed = scheme.time_header is not None or scheme.time_name is not None
    if fault is None and "timestamp" in holes and not timed:
        fault = "{timestamp} needs `timestamp`, which says where it stands"
    if fault is None and timed and not {"timestamp", f"header:{scheme.time_header}"} & {*holes}:
        fault = "the time isn't part of what is signed, so it proves nothing"
    if fault is None and not holes:
        fault = "it holds no part of the request"
    if fault is not None:
        raise document.error(
            where, "bad_value", f"What is signed can't be {scheme.signed.template!r}: {fault}."
        )


def read_handshake(document: Document) -> Handshake:
    """What is answered before anything is sent."""
    found: Found = document.data["webhooks"].get("handshake", {})
    echo, challenge = found.get("echo"), found.get("challenge")
    return Handshake(
        echo=_echo(document, echo) if echo else None,
        challenge=Challenge(
            path=field_path_of(challenge["path"]),
            where=read_where(challenge),
            reply_name=challenge.get("reply"),
        )
        if challenge
        else None,
        probe=found.get("probe", False),
    )


def _echo(document: Document, found: Found) -> Echo:
    where = (*AT, "handshake", "echo")
    if ("token_param" in found) != ("secret" in found):
        raise document.error(where, "bad_value", "token_param and secret go together.")
    secrets = names_of(document, where, found) if "secret" in found else ()
    return Echo(found["param"], found.get("token_param"), secrets)


def read_where(found: Found) -> dict[tuple[str, ...], Sequence[Any]]:
    """`where: {path: value or values}`."""
    return {
        field_path_of(path): allowed if isinstance(allowed, list) else [allowed]
        for path, allowed in found.get("where", {}).items()
    }
