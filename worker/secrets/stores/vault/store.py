"""Secrets in HashiCorp Vault or OpenBao: `vault://mount/path#key[?version=3]`, with the key-value engine, version 1 or 2.
`vault+test://` leads to another server: see `server`.

Which of the two a mount has, and where in the path it ends, is asked once for each mount. A value is written beside the
other fields of its secret. Version 2 compares and sets in one step; for version 1, whoever calls holds a lock.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import Any, NamedTuple

from worker.secrets.stores.fields import check_key, check_path, field_of, split
from worker.secrets.stores.port import StoreUnavailable, not_writable, unresolved
from worker.secrets.stores.vault.client import TIMEOUT, Forbidden, Invalid, NotThere, VaultClient
from worker.secrets.stores.vault.server import Server

AT_ONCE = 8
MOST_TRIES = 3
_VERSION = re.compile(r"version=([1-9]\d{0,9})")
_HINT = "Check the path, the key, and that the policy of Headrace's token allows it (docs/secrets.md#vault-and-openbao)."


class Name(NamedTuple):
    """A reference, taken apart."""

    path: str
    """With the mount."""
    key: str
    version: int | None

    @classmethod
    def read(cls, name: str) -> "Name":
        path, key, query = split(name)
        check_path(path)
        if "/" not in path or key is None:
            raise ValueError("isn't like vault://mount/path#key")
        check_key(key)
        version = None if query is None else _VERSION.fullmatch(query)
        if query is not None and version is None:
            raise ValueError("may have nothing but ?version= and a number after the key")
        return cls(path, key, None if version is None else int(version[1]))


class Mount(NamedTuple):
    """A key-value engine; its path ends with a slash."""

    path: str
    versioned: bool

    def api_path(self, wanted: Name) -> str:
        return f"{self.path}data/{wanted.path[len(self.path) :]}" if self.versioned else wanted.path

    def place_of(self, wanted: Name) -> str:
        """The path of a secret with all its versions."""
        return f"{self.path}metadata/{wanted.path[len(self.path) :]}" if self.versioned else wanted.path


class VaultStore:
    """One server: everybody's, or that of this name."""

    cached = True

    def __init__(self, server: str = "") -> None:
        self._scheme = f"vault+{server}" if server else "vault"
        self._client = VaultClient(Server(server))
        self._lock = Lock()
        self._mounts: tuple[Mount, ...] = ()
        self._room = BoundedSemaphore(AT_ONCE)

    def canonical(self, name: str) -> str:
        Name.read(name)
        return name

    def place(self, name: str) -> str:
        del name
        return self._client.place

    def _reference(self, name: str) -> str:
        return f"{self._scheme}://{name}"

    def read(self, name: str) -> str:
        wanted = Name.read(name)
        with self._asking(name):
            fields, _ = self._fields(self._mount(wanted), wanted)
        if fields is None:
            raise unresolved(self._reference(name), "nothing is there, or it was deleted", _HINT)
        try:
            return field_of(fields, wanted.key)
        except LookupError as exc:
            raise unresolved(self._reference(name), str(exc), _HINT) from None

    def writable(self, name: str) -> bool:
        wanted = Name.read(name)
        if wanted.version is not None:
            return False
        with self._asking(name):
            path = self._mount(wanted).api_path(wanted)
            answer = self._client.post("sys/capabilities-self", {"paths": [path]})
        allowed = {*(answer.get("data") or {}).get(path, ())}
        return "root" in allowed or {"read", "update"} <= allowed

    def write(self, name: str, value: str) -> None:
        if not self._put(name, value, expected=None):
            raise not_writable(self._reference(name), "others keep changing it at the same time")

    def compare_and_set(self, name: str, expected: str, value: str) -> bool:
        return self._put(name, value, expected=expected)

    def remove(self, name: str) -> None:
        """With the last field of a secret go all its versions."""
        wanted = Name.read(name)
        with self._asking(name):
            mount = self._mount(wanted)
            for _ in range(MOST_TRIES):
                found, version = self._fields(mount, wanted)
                if found is None or wanted.key not in found:
                    return
                left = {key: value for key, value in found.items() if key != wanted.key}
                if not left:
                    self._client.delete(mount.place_of(wanted))
                    return
                if self._written(mount, wanted, left, version):
                    return

    def _put(self, name: str, value: str, *, expected: str | None) -> bool:
        """Beside the other fields, if the version that they were read with is the latest still."""
        wanted = Name.read(name)
        if wanted.version is not None:
            raise not_writable(self._reference(name), "it names one version, and versions never change")
        with self._asking(name):
            mount = self._mount(wanted)
            for _ in range(MOST_TRIES):
                found, version = self._fields(mount, wanted)
                if expected is not None and (found or {}).get(wanted.key) != expected:
                    return False
                if self._written(mount, wanted, {**(found or {}), wanted.key: value}, version):
                    return True
        return False

    def _written(self, mount: Mount, wanted: Name, fields: dict[str, Any], version: int) -> bool:
        """Whether the fields were written; not where somebody has written others meanwhile."""
        body = {"options": {"cas": version}, "data": fields} if mount.versioned else fields
        try:
            self._client.post(mount.api_path(wanted), body)
        except Invalid as exc:
            if "check-and-set" not in str(exc):
                raise
            return False
        return True

    def _fields(self, mount: Mount, wanted: Name) -> tuple[dict[str, Any] | None, int]:
        """What is there, and as which version; None where nothing is, or it was deleted in that version."""
        params = {} if wanted.version is None else {"version": wanted.version}
        try:
            answer = self._client.get(mount.api_path(wanted), **params)
        except NotThere as exc:
            answer = exc.answer
        data = answer.get("data") or {}
        if not mount.versioned:
            return data or None, 0
        return data.get("data"), int((data.get("metadata") or {}).get("version") or 0)

    def _mount(self, wanted: Name) -> Mount:
        for mount in self._mounts:
            if wanted.path.startswith(mount.path):
                return mount
        answer = self._client.get(f"sys/internal/ui/mounts/{wanted.path}").get("data") or {}
        path = str(answer.get("path") or "")
        if answer.get("type") != "kv" or not path.endswith("/") or not wanted.path.startswith(path):
            raise Invalid("what is mounted there is no key-value engine")
        mount = Mount(path, str((answer.get("options") or {}).get("version")) == "2")
        with self._lock:
            self._mounts = (*self._mounts, mount)
        return mount

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        """What the server says, in our words."""
        reference = self._reference(name)
        if not self._room.acquire(timeout=2 * TIMEOUT):
            raise StoreUnavailable(self.place(name), "too many ask it at the same time")
        try:
            yield
        except Forbidden:
            raise unresolved(
                reference, "nothing is mounted there, or Headrace may not do that", _HINT
            ) from None
        except NotThere:
            raise unresolved(reference, "nothing is there", _HINT) from None
        except Invalid as exc:
            raise unresolved(reference, str(exc), _HINT) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise StoreUnavailable(self.place(name), "its answer can't be read") from None
        finally:
            self._room.release()
