"""Does the connector log in to a real Tryton, stay logged in, and say what the ERP refuses?"""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from connectors.asking_tryton import MANIFEST, ask, contents, truth
from servers.systems.tryton.server import TrytonServer

from worker.connectors.manifest.model import manifest_in
from worker.errors import NeedsOperator
from worker.parsing.documents import read_document

pytestmark = pytest.mark.integration

IN_COMMON_WORDS = """\
manifest: 1
system: erp
title: Tryton in common words
protocol: rest
base_url: "{base_url}"
settings:
  base_url: {required: true, description: Where.}
  database: {required: true, description: Which.}
  username: {required: true, description: Who.}
secrets:
  password: {description: Their password.}
auth:
  login:
    request:
      path: "/{database}/rpc/"
      json: {id: 1, method: common.db.login, params: ["{username}", {password: "{password}"}]}
    take: {user: result.0, session: result.1}
    headers:
      Authorization: {value: "{username}:{user}:{session}", encode: base64, prefix: "Session "}
streams:
  parties:
    path: "/{database}/rpc/"
    method: POST
    body: {id: 1, method: model.party.party.search_read, params: [[], 0, 5, [[id, ASC]], [id, name], {}]}
    records: result
    key: id
"""


def test_one_login_serves_many_pages(tryton: TrytonServer) -> None:
    asking = ask(tryton)
    asking.records("parties")
    asking.records("products")
    methods = [json.loads(request.body or b"")["method"] for request, _ in asking.sent]
    assert methods.count("common.db.login") == 1


def test_an_expired_session_is_renewed_in_the_middle_of_a_walk(tryton: TrytonServer) -> None:
    asking, found = ask(tryton), []
    for number, page in enumerate(asking.pages("parties")):
        found += page.records
        if number == 1:
            tryton.erp.end_session(asking.held["session"])

    assert contents(found) == truth(tryton, "parties")
    statuses = [response.status for _, response in asking.sent]
    assert statuses.count(401) == 1


def test_a_session_that_never_was_is_renewed(tryton: TrytonServer) -> None:
    asking = ask(tryton)
    asking.held["session"] = base64.b64encode(b"admin:1:dead").decode()
    assert contents(asking.records("locations")) == truth(tryton, "locations")


def test_a_wrong_password_needs_a_person_and_is_tried_once(tryton: TrytonServer) -> None:
    """Tryton locks a user after a few wrong ones, so a second try in the same call would do harm."""
    asking = ask(tryton)
    asking.secrets["password"] = "not-the-password"
    with pytest.raises(NeedsOperator) as refused:
        asking.records("parties")

    assert refused.value.code == "auth_refused"
    assert "not-the-password" not in str(refused.value)
    assert len(asking.sent) == 1
    assert asking.held == {}


def test_an_unknown_database_is_a_failure_that_names_no_secret(tryton: TrytonServer) -> None:
    asking = ask(tryton, database="nowhere")
    with pytest.raises(Exception) as refused:  # noqa: PT011 - which kind is asserted below
        asking.records("parties")
    assert refused.value.code in {"system_error", "request_refused"}  # type: ignore[attr-defined]
    assert tryton.password not in str(refused.value)


def test_an_unknown_field_is_an_error_in_a_200_that_needs_a_person(tryton: TrytonServer) -> None:
    stream = replace(MANIFEST.streams["parties"], fields=("name", "no_such_field"))
    asking = ask(tryton, manifest=replace(MANIFEST, streams={"parties": stream}))
    with pytest.raises(NeedsOperator) as refused:
        asking.records("parties")

    assert refused.value.code == "request_refused"
    assert "no_such_field" in refused.value.message
    assert asking.sent[-1][1].status == 200


def test_what_the_user_may_not_read_is_an_error_in_the_erps_own_words(
    tryton: TrytonServer, outsider: tuple[str, str]
) -> None:
    login, password = outsider
    asking = ask(tryton, username=login)
    asking.secrets["password"] = password
    with pytest.raises(NeedsOperator) as refused:
        asking.records("purchases")

    assert refused.value.code == "request_refused"
    assert "not allowed to access" in refused.value.message
    assert asking.sent[-1][1].status == 200


@pytest.fixture
def outsider(tryton: TrytonServer) -> Iterator[tuple[str, str]]:
    """A user without any group."""
    login, password = f"outsider-{datetime.now(UTC):%H%M%S%f}", "Readonly-9x-longer"
    user = tryton.erp.create("res.user", [{"name": login, "login": login, "password": password}])
    yield login, password
    tryton.erp.edit("res.user", user, {"active": False})


def test_its_session_can_be_said_in_words_that_any_manifest_has(tryton: TrytonServer) -> None:
    manifest = manifest_in(read_document(IN_COMMON_WORDS.encode(), "erp/manifest.yaml"))
    asking = ask(tryton, manifest=manifest)
    found = asking.records("parties")
    assert [record.key for record in found] == [
        str(row["id"]) for row in tryton.erp.rows("party.party", [], ["id"])
    ][:5]
    asking.held["session session"] = "forgotten"
    asking.records("parties")
    assert [request.body and b"common.db.login" in request.body for request, _ in asking.sent] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert asking.sent[2][1].status == 401
