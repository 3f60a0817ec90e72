"""May somebody with this token make a connection this, or change it so? Pure; the command line may do everything.

A secret goes where a connection's settings and network say. So whoever changes those must be allowed to point at every
secret that the connection then has (`scheduler.access.allowed`): else they could send a secret, which somebody else put
there, to a host of their own.

Names and budgets are one for all customers of an installation. So who is limited to tenants calls theirs after these: nobody
takes a name that another wants, nor learns by trying which there are. Where one tenant's name begins with another's, a word
belongs to the longer one; whether there is such a tenant is asked in the transaction of the change (`editing.edit`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.access.allowed import NotAllowed, require_secrets
from scheduler.access.principal import Principal

Row = Mapping[str, Any]
"""What counts of a connection's row: name, environment, tenant, budget, system, settings, secrets, and network if it has one."""


def refuse_new(who: Principal, row: Row) -> None:
    """Raise `NotAllowed` unless they may make this connection."""
    if who.connections is not None:
        raise NotAllowed(
            "connections_fixed",
            "Your token is for connections that are there already, and makes no new ones.",
            hint="Use a token that isn't limited to connections.",
        )
    if row["environment"] != who.environment:
        raise NotAllowed(
            "other_environment",
            f"Your token is for {who.environment} connections.",
            hint="Use a token of the other environment.",
        )
    _refuse_tenant(who, row["tenant"])
    for name in _OF_ALL:
        _refuse_word(who, name, None, row)
    require_secrets(who, None, _with_all_references(row))


def refuse_changed(who: Principal, before: Row, after: Row) -> None:
    """The same for a connection that they see, and that becomes another."""
    if before["tenant"] != after["tenant"]:
        _refuse_tenant(who, after["tenant"])
    for name in _OF_ALL:
        _refuse_word(who, name, before.get(name), after)
    require_secrets(who, _with_all_references(before), _with_all_references(after))


def defaults_of(who: Principal) -> dict[str, Any]:
    """What a connection of theirs is where they don't say it."""
    found: dict[str, Any] = {"environment": who.environment}
    if who.tenants is not None and len(who.tenants) == 1:
        found["tenant"] = next(iter(who.tenants))
    return found


def _refuse_tenant(who: Principal, tenant: Any) -> None:
    if who.tenants is not None and tenant not in who.tenants:
        raise NotAllowed(
            "other_tenant",
            "Your token is for connections of some customers, and this would be another's.",
            hint="Name a tenant that your token is for.",
        )


_OF_ALL = ("name", "budget")


def _refuse_word(who: Principal, kind: str, before: Any, after: Row) -> None:
    word = after.get(kind)
    if not who.limited or word is None or word == before:
        return
    tenant = after["tenant"]
    if who.tenants is not None and tenant is not None and is_named_after(tenant, word):
        return
    raise not_yours(who, kind, tenant)


def not_yours(who: Principal, kind: str, tenant: str | None) -> NotAllowed:
    """The same words, whoever else has it or wants it."""
    mine = (
        f"a {kind} begins with the tenant's, such as {tenant!r}"
        if who.tenants
        else f"the {kind} stays as it is"
    )
    return NotAllowed(
        f"{kind}_not_yours",
        f"All customers share what a {kind} can be: with your token {mine}.",
        place=f"body.{kind}",
        hint="A token without limits may choose any.",
    )


def is_named_after(tenant: str, word: str) -> bool:
    """`Acme North`, `acme-north` and `ACME` are named after `acme`; `acmeshop` isn't."""
    begin, whole = tenant.casefold(), word.casefold()
    return whole.startswith(begin) and not whole[len(begin) : len(begin) + 1].isalnum()


def _with_all_references(row: Row) -> dict[str, Any]:
    """How requests leave may hold references, too: to a client's key, to a proxy's password."""
    network = row.get("network") or {}
    return {**row, "secrets": {**row["secrets"], **dict(_references(("network",), network))}}


def _references(path: tuple[str, ...], value: Any) -> Iterator[tuple[str, str]]:
    """What has a scheme is a reference, but for the address of a proxy."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _references((*path, str(name)), inner)
    elif isinstance(value, str) and "://" in value and not value.startswith(("http://", "https://", "socks")):
        yield ".".join(path), value
