"""Secrets in AWS Secrets Manager: `aws-sm://name[#key][?stage=AWSPREVIOUS|?version=id]`, or an ARN in the name's place.

Region, endpoint and credentials come from the client's own chain (AWS_REGION, AWS_ENDPOINT_URL, a profile, a role); an ARN
names its region. A value is replaced by moving the label AWSCURRENT from the version that was read to the new one, which
the service refuses if it isn't there any more: compare and set in one step.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from uuid import uuid4

from worker.secrets.stores.aws.client import AwsClients, Denied, NotThere, Raced
from worker.secrets.stores.fields import check_key, check_path, field_of, json_fields, split
from worker.secrets.stores.port import not_writable, unresolved

CURRENT = "AWSCURRENT"
MOST_TRIES = 3
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:([a-z0-9-]{1,32}):\d{12}:secret:[A-Za-z0-9/_+=.@-]{1,520}")
_QUERY = re.compile(r"(stage|version)=([A-Za-z0-9/_+=.@-]{1,256})")
_HINT = "Check the name, and that Headrace's role may read it (docs/secrets.md#aws-secrets-manager)."


class Name(NamedTuple):
    """A reference, taken apart."""

    id: str
    region: str | None
    key: str | None
    stage: str | None
    version: str | None

    @classmethod
    def read(cls, name: str) -> "Name":
        identifier, key, query = split(name)
        arn = _ARN.fullmatch(identifier)
        check_path(identifier)
        if arn is None and _NAME.fullmatch(identifier) is None:
            raise ValueError("names no secret after aws-sm://, by its name or ARN")
        if key is not None:
            check_key(key)
        asked = None if query is None else _QUERY.fullmatch(query)
        if query is not None and asked is None:
            raise ValueError("may have nothing but ?stage= or ?version= after the name")
        pinned = {} if asked is None else {asked[1]: asked[2]}
        return cls(identifier, arn and arn[1], key, pinned.get("stage"), pinned.get("version"))

    @property
    def pinned(self) -> bool:
        return self.version is not None or self.stage not in {None, CURRENT}

    def place_of(self, fields: str | None, value: str) -> str:
        """The whole text with the value in its place. `LookupError` if there is no such place."""
        if self.key is None:
            return value
        return json.dumps({**({} if fields is None else json_fields(fields)), self.key: value})

    def value_in(self, text: str) -> str:
        """`LookupError` if there is none."""
        return text if self.key is None else field_of(json_fields(text), self.key)


class AwsStore:
    """The account that the client's own chain leads to, or that of this name."""

    cached = True

    def __init__(self, account: str = "") -> None:
        self._scheme = f"aws-sm+{account}" if account else "aws-sm"
        self._clients = AwsClients(account)

    def canonical(self, name: str) -> str:
        Name.read(name)
        return name

    def place(self, name: str) -> str:
        return self._clients.place(Name.read(name).region)

    def read(self, name: str) -> str:
        wanted = Name.read(name)
        with self._asking(name):
            return wanted.value_in(self._get(wanted)[0])

    def writable(self, name: str) -> bool:
        """AWS doesn't say before it is written to; a version that is pinned never changes."""
        return not Name.read(name).pinned

    def write(self, name: str, value: str) -> None:
        wanted = self._unpinned(name)
        with self._asking(name):
            for _ in range(MOST_TRIES):
                try:
                    text, version = self._get(wanted)
                except NotThere:
                    self._call(
                        wanted, "create_secret", Name=wanted.id, SecretString=wanted.place_of(None, value)
                    )
                    return
                if self._move(wanted, wanted.place_of(text, value), version):
                    return
        raise not_writable(self._reference(name), "others keep changing it at the same time")

    def compare_and_set(self, name: str, expected: str, value: str) -> bool:
        wanted = self._unpinned(name)
        with self._asking(name):
            for _ in range(MOST_TRIES):
                text, version = self._get(wanted)
                if wanted.value_in(text) != expected:
                    return False
                if self._move(wanted, wanted.place_of(text, value), version):
                    return True
        return False

    def remove(self, name: str) -> None:
        wanted = self._unpinned(name)
        with self._asking(name), suppress(NotThere):
            for _ in range(MOST_TRIES):
                text, version = self._get(wanted)
                fields = {} if wanted.key is None else json_fields(text)
                if wanted.key is not None and wanted.key not in fields:
                    return
                left = {key: field for key, field in fields.items() if key != wanted.key}
                if not left:
                    self._call(wanted, "delete_secret", ForceDeleteWithoutRecovery=True)
                    return
                if self._move(wanted, json.dumps(left), version):
                    return

    def _reference(self, name: str) -> str:
        return f"{self._scheme}://{name}"

    def _unpinned(self, name: str) -> Name:
        wanted = Name.read(name)
        if wanted.pinned:
            raise not_writable(self._reference(name), "it names one version, and versions never change")
        return wanted

    def _get(self, wanted: Name) -> tuple[str, str]:
        """The text, and the version that it is."""
        which = {"VersionId": wanted.version} if wanted.version else {"VersionStage": wanted.stage or CURRENT}
        answer = self._call(wanted, "get_secret_value", **which)
        text = answer.get("SecretString")
        if text is None:
            try:
                text = bytes(answer.get("SecretBinary") or b"").decode()
            except UnicodeDecodeError:
                raise LookupError("it isn't UTF-8 text") from None
        if not text.strip():
            raise LookupError("it is empty")
        return text, str(answer.get("VersionId"))

    def _move(self, wanted: Name, text: str, version: str) -> bool:
        """A new version under a label of its own; it becomes the current one if `version` is that still."""
        label = f"HEADRACE-{uuid4().hex}"
        made = self._call(
            wanted,
            "put_secret_value",
            SecretString=text,
            VersionStages=[label],
            ClientRequestToken=str(uuid4()),
        )["VersionId"]
        try:
            self._label(wanted, CURRENT, MoveToVersionId=made, RemoveFromVersionId=version)
        except Raced:
            return False
        except Denied:
            # It may not move labels: all that is left is to compare, and then to put. The lock of the reference helps.
            self._call(wanted, "put_secret_value", SecretString=text, ClientRequestToken=str(uuid4()))
            return True
        finally:
            self._label_away(wanted, label, made)
        return True

    def _label(self, wanted: Name, label: str, **moved: str) -> None:
        self._call(wanted, "update_secret_version_stage", VersionStage=label, **moved)

    def _label_away(self, wanted: Name, label: str, version: str) -> None:
        try:
            self._label(wanted, label, RemoveFromVersionId=version)
        except (Raced, Denied, NotThere):
            return  # a version that nobody asks for

    def _call(self, wanted: Name, action: str, **given: Any) -> dict[str, Any]:
        identified = given if action == "create_secret" else {"SecretId": wanted.id, **given}
        return self._clients.call(wanted.region, action, identified)

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        """What the service says, in our words."""
        try:
            yield
        except NotThere:
            raise unresolved(self._reference(name), "there is no such secret or version", _HINT) from None
        except (Denied, Raced, LookupError) as exc:
            raise unresolved(self._reference(name), str(exc), _HINT) from None
