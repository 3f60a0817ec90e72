"""Who opens a secret, and who writes one?

Promises: an opened value is known to the redactor before anybody else sees it. A reference outside of what its
environment allows is refused, whoever asks, and so is what Headrace itself lives by (`own`), and a file outside of the
folders for secrets, where such are named.
Does not promise that the value is right: that is for the system to say.
"""

from collections.abc import Callable

from worker.config import Settings, get_settings
from worker.errors import InvalidInput, NeedsOperator
from worker.secrets.cache import SecretCache
from worker.secrets.own import is_elsewhere, is_own
from worker.secrets.reference import Reference, is_within, known_reference, parse_reference
from worker.secrets.stores.known import store_of
from worker.secrets.stores.port import Store, not_writable
from worker.secrets.value import Secret
from worker.telemetry.redaction import redactor

EITHER = "live or test"
"""The environment of what tells of connections of both: its references are of one or the other."""

_cache = SecretCache(age=lambda: get_settings().secret_cache, longest=lambda: get_settings().secret_keep)


def check_reference(
    text: object, *, environment: str, name: str = "secret", settings: Settings | None = None
) -> Reference:
    """A reference that a connection of this environment may use, or `InvalidInput` without repeating what was given."""
    reference = parse_reference(text, name=name)
    _refuse_file(reference, name, settings)
    prefixes = allowed_prefixes(environment, settings)
    if prefixes and not is_within(reference, prefixes):
        raise InvalidInput(
            "secret_outside_environment",
            f"The reference given for `{name}` is outside of what {environment} connections may use.",
            hint=f"It must begin with {' or '.join(prefixes)}.",
        )
    return reference


def _refuse_file(reference: Reference, name: str = "secret", settings: Settings | None = None) -> None:
    """What no connection may have, whoever points it there."""
    found = settings or get_settings()
    if is_own(reference.scheme, reference.name, found):
        raise InvalidInput(
            "secret_of_headrace",
            f"The reference given for `{name}` leads to what Headrace itself lives by, which is never sent to a system.",
            hint="Put the connection's own secret into a variable, a file or a place of its own.",
        )
    if is_elsewhere(reference.scheme, reference.name, found.secret_files):
        raise InvalidInput(
            "secret_outside_folders",
            f"The reference given for `{name}` leads to a file outside of the folders that hold secrets.",
            hint=f"HEADRACE_SECRET_FILES names them: {' '.join(found.secret_files)}. Links are followed.",
        )


def allowed_prefixes(environment: str, settings: Settings | None = None) -> tuple[str, ...]:
    """How references of this environment must begin; empty: as they like."""
    found = settings or get_settings()
    if environment == EITHER:
        both = found.live_secrets, found.test_secrets
        return (*both[0], *both[1]) if all(both) else ()
    return found.live_secrets if environment == "live" else found.test_secrets


def open_secret(reference: str, *, environment: str | None = None, fresh: bool = False) -> Secret:
    """The value behind a reference, redacted from here on, or `NeedsOperator` that says what to mend.

    `environment`: of the connection on whose behalf it is opened, or `EITHER`; None: for the installation itself. `fresh`: as the
    store has it now, and not as it was some minutes ago. Raises `StoreUnavailable` where nobody answers.
    """
    found = _parsed(reference, environment)
    store, read = _store(found), _reading(found)
    if store.cached:
        value = _cache.get(str(found), store.place(found.name), read, fresh=fresh)
    else:
        value = Secret(read())
    redactor.add(value.reveal())  # again at each use: those used least are forgotten
    return value


def open_again(
    reference: str, known: Secret, *, environment: str | None = None, doubtful: bool = False
) -> Secret:
    """The value after a system refused `known`: another one, if it was rotated since it was read.

    `doubtful`: it may be something else that it refused. Then a store is asked no more often than by the value's age.
    """
    found = _parsed(reference, environment)
    store, read = _store(found), _reading(found)
    if not store.cached:
        return Secret(read())
    return _cache.again(str(found), store.place(found.name), read, known, doubtful=doubtful)


def reopen_secret(reference: str, *, environment: str | None = None) -> Secret:
    """The same for whoever no longer knows what was refused: read again, if it wasn't a moment ago."""
    known = open_secret(reference, environment=environment)
    return open_again(reference, known, environment=environment)


def stores_away() -> dict[str, str]:
    """The stores that give this process no answer now, and why: what it holds of theirs is used on."""
    return _cache.away()


def is_writable(reference: str) -> bool:
    """Whether a value may be written there, as far as the store says so without being written to."""
    found = _parsed(reference, None)
    return _store(found).writable(found.name)


def write_secret(reference: str, value: str) -> None:
    """Put a value where the reference leads. Raises `NeedsOperator` (`secret_not_writable`) where it can't be."""
    redactor.add(value)
    found = _parsed(reference, None, writing=True)
    if not value.strip():
        raise not_writable(reference, "an empty value is no secret")
    _store(found).write(found.name, value)
    _cache.put(str(found), Secret(value))


def remove_secret(reference: str) -> None:
    """Take away a value that was written and is of no use. Harmless where nothing is. Raises as `write_secret` does."""
    found = _parsed(reference, None, writing=True)
    _store(found).remove(found.name)


def replace_secret(reference: str, expected: Secret, value: Secret) -> bool:
    """Put a value in the place of another; False if something else is there. Call it under the lock of the reference."""
    redactor.add(value.reveal())
    found = _parsed(reference, None, writing=True)
    if not _store(found).compare_and_set(found.name, expected.reveal(), value.reveal()):
        return False
    _cache.put(str(found), value)
    return True


def _store(found: Reference) -> Store:
    store = store_of(found.scheme)
    assert store is not None  # noqa: S101 - it was looked up when the reference was read
    return store


def _reading(found: Reference) -> Callable[[], str]:
    def read() -> str:
        value = _store(found).read(found.name)
        redactor.add(value)
        return value

    return read


def _parsed(reference: str, environment: str | None, *, writing: bool = False) -> Reference:
    """Who writes does so for a connection: what Headrace itself lives by is written elsewhere."""
    try:
        if environment is not None and allowed_prefixes(environment):
            return check_reference(reference, environment=environment)
        found = known_reference(reference)
        if environment is not None or writing:
            _refuse_file(found)
    except InvalidInput as exc:
        code = exc.code if exc.code in _SAID_AS_IT_IS else "secret_unresolved"
        raise NeedsOperator(code, exc.message, hint=exc.hint) from None
    return found


_SAID_AS_IT_IS = frozenset({"secret_outside_environment", "secret_of_headrace", "secret_outside_folders"})
