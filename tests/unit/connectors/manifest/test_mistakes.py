"""Whoever writes a manifest is told the line, the field, what was expected and what was probably meant; and all of it at once."""

import re
from pathlib import Path

import pytest

from worker.connectors.manifest.model import load_manifest
from worker.connectors.manifest.problems import BadManifest, load_or_tell_all, problems_of
from worker.connectors.manifest.schema import schema
from worker.errors import InvalidInput

MANIFEST = """\
manifest: 1
system: plant
title: Plant
protocol: rest
base_url: "https://{host}/api"
settings:
  host: {required: true, description: Where it is.}
secrets:
  api_key: {description: A key.}
auth:
  bearer: {secret: api_key}
limits: {requests: 60, per: 1m}
errors:
  words: message
defaults:
  records: data
  paging: {page: {param: page, size: 100}}
streams:
  sites:
    path: /sites
    key: id
  assets:
    path: /assets
    key: id
    incremental: {field: updated_at, param: since}
"""

HOST = "host: {required: true, description: Where it is.}"
CHANGED = "incremental: {field: updated_at, param: since}"
PAGE = "page: {param: page, size: 100}"

MISTAKES = [
    # Keys that aren't known: misspelled, called as elsewhere, or in another place.
    ("title: Plant", "titel: Plant", "3: Unknown key 'titel'. Did you mean 'title'?"),
    ("streams:", "stream:", "18: Unknown key 'stream'. Did you mean 'streams'?"),
    ("requests: 60", "request: 60", "12: Unknown key 'request' in limits. Did you mean 'requests'?"),
    ("bearer:", "bearrer:", "11: Unknown key 'bearrer' in auth. Did you mean 'bearer'?"),
    ("{secret: api_key}", "{token: api_key}", "11: Unknown key 'token' in auth.bearer. Did you mean 'secret'?"),
    (PAGE, "pages: {param: page, size: 100}", "17: Unknown key 'pages' in defaults.paging. Did you mean 'page'?"),
    (PAGE, "page: {param: page, limit: 100}", "17: Unknown key 'limit' in defaults.paging.page. Did you mean 'size'?"),
    ("path: /sites", "url: /sites", "20: Unknown key 'url' in streams.sites. Did you mean 'path'?"),
    ("key: id\n  assets", "keys: id\n  assets", "21: Unknown key 'keys' in streams.sites. Did you mean 'key'?"),
    ("param: since", "param: since, cursor: x", "25: Unknown key 'cursor' in streams.assets.incremental. Did you mean 'field'?"),
    (CHANGED, "deleted: {path: gone}", "25: Unknown key 'path' in streams.assets.deleted. Did you mean 'field'?"),
    ("limits:", "incremental: {}\nlimits:", "12: Unknown key 'incremental'. It belongs in streams.<name> or in defaults."),
    ("limits:", "headers: {A: b}\nlimits:", "12: Unknown key 'headers'. It belongs in auth, in request, in streams.<name> or in defaults."),
    ("key: id\n  assets", "key: id\n    limits: {}\n  assets", "22: Unknown key 'limits' in streams.sites. It belongs at the top of the file."),
    ("key: id\n  assets", "key: id\n    until_param: b\n  assets", "22: Unknown key 'until_param' in streams.sites. It belongs in streams.<name>.incremental."),
    ("    incremental:", "  incremental:", "25: incremental stands among the names in streams, and is a key of what they name. Is it indented too little?"),
    ("  bearer: {secret: api_key}", "  type: bearer", "11: Unknown key 'type' in auth. The kind is a key: auth: {bearer: {…}}."),
    (PAGE, "type: page", "17: Unknown key 'type' in defaults.paging. The kind is a key: paging: {page: {…}}."),
    (PAGE, "kind: pages", "17: Unknown key 'kind' in defaults.paging. The kind is a key, one of none, *"),
    ("{description: A key.}", "{description: A key., value: x}", "9: Unknown key 'value' in secrets.api_key. Valid: description, find, *"),
    # What is missing, or too much.
    ("title: Plant\n", "", "1: The key 'title' is missing in the file. The system's name for people."),
    ("page: {param: page, size: 100}", "page: {param: page}", "17: The key 'size' is missing in defaults.paging.page. Records in a page; the largest that the system allows is best."),
    (PAGE, "cursor: {param: p, path: next, size: 9}", "17: The key 'size_param' is missing in defaults.paging.cursor: it goes with size."),
    (PAGE, PAGE + ", none: {}", "17: defaults.paging must hold one of none, *; page and none stand there."),
    (PAGE, "", "17: defaults.paging must hold one of none, *; it is empty."),
    (HOST, "host: {}", "7: The key 'description' is missing in settings.host. What it is, for people."),
    # Values of another kind, or that aren't allowed.
    ("manifest: 1", "manifest: 2", "1: manifest must be 1, not 2. The version of this format: 1."),
    ("protocol: rest", "protocol: rset", "4: protocol must be one of *, not 'rset'. Did you mean 'rest'?"),
    (HOST, "host: {type: text, description: x}", "7: settings.host.type must be one of string, integer, boolean, not 'text'."),
    (HOST, "host: {required: yes, description: x}", "7: settings.host.required must be true or false, not 'yes'. Write true, without quotes."),
    ("requests: 60", 'requests: "60"', "12: limits.requests must be a whole number, not '60'. Write it without quotes."),
    ("requests: 60", "requests: 0", "12: limits.requests must be at least 1; 0 was given. At most this many requests in any window of `per`."),
    ("per: 1m", "per: 60", "12: limits.per must be text, not 60. The window, such as 1m; of a quota: day or month."),
    ("per: 1m", "per: 1 minute", "12: limits.per can't be '1 minute'. The window, such as 1m; of a quota: day or month."),
    ("  paging: {page: {param: page, size: 100}}", "  paging: page", "17: defaults.paging must be a mapping of keys, not 'page'. Write paging: {page: {…}}, with what belongs to page in it."),
    ("param: since", "param: since, kind: time", "25: streams.assets.incremental.kind must be one of timestamp, number, token, not 'time'. Did you mean 'timestamp'?"),
    ("  sites:", "  My-Sites:", "19: 'My-Sites' can't be a name in streams. Did you mean 'my_sites'? A name is of lower case letters, digits and _, and begins with a letter."),
    ("path: /sites", "path: sites", "20: streams.sites.path can't be 'sites'. rest: the path below base_url, with {name} for settings. It begins with /."),
    ("    path: /sites\n    key: id", "    - path: /sites", "19: streams.sites must be a mapping of keys, not a list. A stream is a mapping of keys: for rest, path, records and key at least."),
    ("{description: A key.}", "hunter2", "9: secrets.api_key must be a mapping of keys, not what was given. What a secret is: {description: …}. Its value never stands in a manifest."),
    ("words: message", "status: {404: transiant}", "14: errors.status.404 must be one of transient, rate_limited, operator, not 'transiant'. Did you mean 'transient'?"),
    ("words: message", "rules: [{path: error, kind: throttled}]", "14: errors.rules[0].kind must be one of transient, rate_limited, *, not 'throttled'. What such an answer is: *"),
    # Names of what isn't there.
    ("{host}", "{hots}", "5: There is no setting 'hots' in this manifest. Did you mean 'host'?"),
    ("secret: api_key", "secret: api_kye", "11: There is no secret 'api_kye' in this manifest. Did you mean 'api_key'?"),
    ("path: /assets", "path: /assets\n    after: [site]", "2[0-9]: *'site'*'sites'*"),
    (CHANGED, "updated_at: {field: u, zone: Europe/Brlin}", "25: In streams.assets: There is no time zone 'Europe/Brlin'."),
    # YAML that isn't.
    ('base_url: "https://{host}/api"', "base_url: {host}/api", "5: This is not valid YAML: nothing may follow behind {…}: put the whole text in quotes."),
    ('base_url: "https://{host}/api"', "base_url: {host}", "5: base_url must be text, not a mapping of keys. In YAML, { begins a mapping: put the text in quotes."),
    ("  words:", "\twords:", "14: This is not valid YAML: a tab stands here, and only blanks indent."),
    ("words: message", "words: @message", "14: This is not valid YAML: a text that begins with @ must be in quotes."),
    ("words: message", "words: a: b", "14: This is not valid YAML: a second colon stands in this line: a text with a colon and a blank in it must be in quotes."),
    ("words: message", 'words: "message', "14: This is not valid YAML: the quote that begins here isn't closed."),
    ("words: message", "words: [message", "14: This is not valid YAML: the [ that stands here isn't closed, or a comma is missing in what follows."),
    ("{requests: 60, per: 1m}", "{requests: 60 per: 1m}", "12: This is not valid YAML: a comma is missing here, or a text with a colon in it isn't in quotes."),
    ("    key: id\n  assets", "   key: id\n  assets", "21: This is not valid YAML: this line is indented otherwise than those that it belongs to."),
    ("    key: id\n  assets", "     key: id\n  assets", "21: This is not valid YAML: this line is indented deeper than the one above it allows."),
    ("    key: id\n  assets", "    key:id\n  assets", "21: This is not valid YAML: this line has no colon with a blank behind it, and so no key."),
    ("title: Plant", "title: Plant\ntitle: Other", "4: The key 'title' stands here twice (first on line 3)."),
]  # fmt: skip


def written(folder: Path, text: str) -> Path:
    file = folder / "plant" / "manifest.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(("right", "wrong", "sentence"), MISTAKES)
def test_a_mistake_is_told_in_one_sentence_with_its_line(
    tmp_path: Path, right: str, wrong: str, sentence: str
) -> None:
    assert right in MANIFEST
    file = written(tmp_path, MANIFEST.replace(right, wrong, 1))
    with pytest.raises(InvalidInput) as caught:
        load_manifest(file)
    pattern = re.escape(f"{file}:") + re.escape(sentence).replace(r"\*", ".*").replace(r"2\[0\-9\]", "2[0-9]")
    assert re.fullmatch(pattern, str(caught.value)), str(caught.value)
    # The same, and nothing that follows from it.
    assert str(caught.value) in [str(problem) for problem in problems_of(file)]


def test_a_sound_manifest_has_no_problems(tmp_path: Path) -> None:
    assert problems_of(written(tmp_path, MANIFEST)) == []


def test_all_mistakes_of_a_file_are_told_at_once_by_line_and_none_that_only_follow(tmp_path: Path) -> None:
    text = MANIFEST
    for right, wrong in [
        ("title:", "titel:"), ("{host}", "{hots}"), ("secret: api_key", "secret: api_kye"), ("1m}", "1 min}"),
        ("key: id\n  assets", "keys: id\n  assets"), ("path: /assets", "path: assets"),
    ]:  # fmt: skip
        text = text.replace(right, wrong, 1)
    text += """\
  more:
    key: id
  meters:
    path: /m
    key: id
    updated_at: {field: u, zone: Europe/Brlin}
models:
  work_order: {stream: asets, fields: {number: id}}
hook: hok.py
"""
    found = [
        str(problem).removeprefix(f"{tmp_path}/plant/manifest.yaml:")
        for problem in problems_of(written(tmp_path, text))
    ]
    assert found == [
        "3: Unknown key 'titel'. Did you mean 'title'?",
        "5: There is no setting 'hots' in this manifest. Did you mean 'host'?",
        "11: There is no secret 'api_kye' in this manifest. Did you mean 'api_key'?",
        "12: limits.per can't be '1 min'. The window, such as 1m; of a quota: day or month.",
        "21: Unknown key 'keys' in streams.sites. Did you mean 'key'?",
        "23: streams.assets.path can't be 'assets'. rest: the path below base_url, with {name} for settings. It begins with /.",
        "26: The key 'path' is missing in streams.more.",
        "31: In streams.meters: There is no time zone 'Europe/Brlin'.",
        "33: There is no stream 'asets'. Did you mean 'assets'?",
        "34: There is no file hok.py beside the manifest.",
    ]  # fmt: skip
    with pytest.raises(BadManifest, match="10 problems in ") as caught:
        load_or_tell_all(tmp_path / "plant" / "manifest.yaml")
    assert str(caught.value).count("\n  ") == 10


def test_one_mistake_alone_is_told_as_itself(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'title'") as caught:
        load_or_tell_all(written(tmp_path, MANIFEST.replace("title:", "titel:")))
    assert not isinstance(caught.value, BadManifest)


@pytest.mark.parametrize(
    "text", ["", "[]", "manifest: 1", "streams: {}", "a: b: c", "streams: [x]\nsystem: 5\nhook: 7"]
)
def test_whatever_a_file_holds_is_told_and_never_raised(tmp_path: Path, text: str) -> None:
    assert problems_of(written(tmp_path, text))
    assert problems_of(tmp_path / "nowhere" / "manifest.yaml")[0].code == "unreadable_file"


def test_what_others_call_a_key_leads_to_one_that_there_is() -> None:
    whole = schema()
    known: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            known.update(node.get("properties", {}))
            for below in node.values():
                walk(below)
        elif isinstance(node, list):
            for below in node:
                walk(below)

    walk(whole)
    meant = {key for keys in whole["x-synonyms"].values() for key in keys}
    assert meant <= known, meant - known
