"""How one record is asked for by its key, of one field or several, and rows that are lists."""

from pathlib import Path

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response, Stream, Window
from worker.connectors.manifest.model import load_manifest
from worker.engine.tracks.records import can_be_asked
from worker.errors import BadRecord, InvalidInput

BASE = "https://shop.example.com/api"
AROUND = """\
manifest: 1
system: shop
title: Shop
protocol: %s
base_url: "https://shop.example.com/api"
settings: {company: {description: The company., default: A&B}}
streams:
  parts: {%s}
"""
REST = "path: /parts, records: data, key: [site, number], "
KEY = '["N 1","a/b"]'


def stream_of(folder: Path, stream: str, protocol: str = "rest") -> Stream:
    path = folder / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(AROUND % (protocol, stream))
    return ManifestConnector(load_manifest(path)).bind({}).stream("parts")


@pytest.mark.parametrize("key", ["a{key}b", "{0}", "{company}", "{", "a&b=c"])
def test_a_key_is_said_as_it_is_whatever_it_holds(tmp_path: Path, key: str) -> None:
    """Another one would be asked for, not found, and this one taken for deleted."""
    stream = stream_of(
        tmp_path, 'path: /p, records: d, key: id, single: {params: {id: "{key}", of: "{company}"}}'
    )
    asked = stream.single(key)
    assert asked is not None
    assert list(asked.params) == [("id", key), ("of", "A&B")]


def test_parameters_of_one_record_stand_instead_of_those_of_all_requests(tmp_path: Path) -> None:
    stream = stream_of(
        tmp_path,
        'path: /p, records: d, key: id, single: {params: {lang: de, id: "{key}"}}}\n'
        "request: {params: {lang: en, company: A}",
    )
    asked = stream.single("7")
    assert asked is not None
    assert list(asked.params) == [("company", "A"), ("lang", "de"), ("id", "7")]


@pytest.mark.parametrize(
    ("value", "asked"), [("open", "status=open"), ("a b", "status=a b"), ("a^ORb=1", None)]
)
def test_no_filter_says_more_than_itself_where_the_system_knows_no_marks(
    tmp_path: Path, value: str, asked: str | None
) -> None:
    conditions = 'conditions: {param: q, join: "^", quote: ""}, filters: {status: "status={value}"}'
    stream = stream_of(tmp_path, f"path: /p, records: d, key: id, {conditions}")
    if asked is None:
        with pytest.raises(InvalidInput, match="is no value"):
            stream.filtered({"status": value})
    else:
        assert dict(stream.filtered({"status": value}).request(Window(), None).params)["q"] == asked


class TestAKeyOfSeveralFields:
    def test_stands_in_a_path_and_its_parameters(self, tmp_path: Path) -> None:
        single = 'single: {path: "/{company}/sites/{0}/parts/{1}", params: {expand: "{1}"}}'
        stream = stream_of(tmp_path, REST + single)
        asked = stream.single(KEY)
        assert asked is not None
        assert asked.url == BASE + "/A%26B/sites/N%201/parts/a%2Fb"
        assert list(asked.params) == [("expand", "a/b")]
        assert can_be_asked(stream)

    def test_stands_in_a_body_with_its_types(self, tmp_path: Path) -> None:
        stream = stream_of(tmp_path, REST + 'single: {body: {id: ["{0}", "{1}"], of: "{company}"}}')
        asked = stream.single('["N",7]')
        assert asked is not None
        assert asked.body == b'{"id":["N",7],"of":"A&B"}'

    def test_stands_in_a_condition(self, tmp_path: Path) -> None:
        conditions = 'conditions: {param: where, join: " and "}, '
        by = """single: {by: "site eq '{0}' and number eq '{1}' and company eq '{company}'"}"""
        stream = stream_of(tmp_path, REST + conditions + by)
        asked = stream.single('["N","O\'Neil"]')
        assert asked is not None
        assert dict(asked.params)["where"] == "site eq 'N' and number eq 'O''Neil' and company eq 'A&B'"
        page = stream.read_single(
            Response(200, {}, b'{"data":[{"site":"N","number":"O\'Neil"}]}', BASE), '["N","O\'Neil"]'
        )
        assert len(page.records) == 1

    def test_stands_in_parameters_of_the_list(self, tmp_path: Path) -> None:
        stream = stream_of(
            tmp_path, REST + 'params: {full: "1"}, single: {list: true, params: {site: "{0}", no: "{1}"}}'
        )
        asked = stream.single('["N&S",7]')
        assert asked is not None
        assert (asked.url, list(asked.params)) == (
            BASE + "/parts",
            [("full", "1"), ("site", "N&S"), ("no", "7")],
        )
        for body, records, gone in (
            (b'{"data":[{"site":"N&S","number":7}]}', 1, 0),
            (b'{"data":[]}', 0, 1),
            (b'{"data":[{"site":"N&S","number":8}]}', 0, 0),
        ):
            page = stream.read_single(Response(200, {}, body, BASE), '["N&S",7]')
            assert (len(page.records), len(page.gone), len(page.rejected)) == (
                records,
                gone,
                1 - records - gone,
            )

    def test_can_not_break_out_of_its_place(self, tmp_path: Path) -> None:
        stream = stream_of(tmp_path, REST + 'single: {path: "/{0}/{1}"}')
        for key in ('["..","a"]', '["","a"]', '["a",""]', '["a"]', "a", '["a",true]', '["a",["b"]]'):
            with pytest.raises(BadRecord):
                stream.single(key)
        asked = stream.single('["{1}","{company}"]')
        assert asked is not None
        assert asked.url == BASE + "/%7B1%7D/%7Bcompany%7D"

    def test_asks_for_each_record_of_a_list_that_holds_only_keys(self, tmp_path: Path) -> None:
        stream = stream_of(tmp_path, REST + 'detail: {}, single: {path: "/{0}/{1}"}')
        page = stream.read(Response(200, {}, b'{"data":[{"site":"N","number":1}]}', BASE), Window(), None)
        assert page.listed is not None
        assert page.listed.pending == ['["N",1]']

    @pytest.mark.parametrize(
        ("version", "types", "path"),
        [
            (4, "{number: int32}", "/Parts(site='N''s',number=7)"),
            (2, "{number: int64}", "/Parts(site='N''s',number=7L)"),
        ],
    )
    def test_is_written_by_name_in_odata(self, tmp_path: Path, version: int, types: str, path: str) -> None:
        odata = (
            f"odata: {{entity: Parts, version: {version}, types: {types}}}, key: [site, number], single: {{}}"
        )
        asked = stream_of(tmp_path, odata, "odata").single('["N\'s",7]')
        assert asked is not None
        assert asked.url == BASE + path.replace("''", "%27%27")

    def test_may_hold_an_empty_text_where_marks_stand_around_it(self, tmp_path: Path) -> None:
        odata = "odata: {entity: Parts, types: {number: int32}}, key: [site, number], single: {}"
        asked = stream_of(tmp_path, odata, "odata").single('["",7]')
        assert asked is not None
        assert asked.url == f"{BASE}/Parts(site='',number=7)"


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (REST + "single: {}", "the key has 2 fields: {0}, {1} stand for them, not {key}."),
        (REST + 'single: {path: "/{0}"}', "the key of 2 fields, {0}, {1}, is asked for without {1}."),
        (REST + 'single: {path: "/{0}/{1}/{2}"}', "has no field {2}."),
        ("path: /p, records: data, key: id, single: {path: '/{0}'}", "{0} is for keys of several fields"),
        (
            REST + "single: {path: '/{0}/{1}'}, detail: {key: id}",
            "detail.key is one field, and 2 make the key",
        ),
        (REST + "single: {path: '/{0}/{1}/{compny}'}", "Did you mean 'company'?"),
        (REST + "single: {body: ['{0}', '{1}', '{compny}']}", "Did you mean 'company'?"),
        ("path: /p, key: id, records: {rows: data, columns: false}", "or true: in the first row."),
        ("path: /p, key: id, records: {rows: data, columns: data.names}", "inside the list of records"),
        ("path: /p, key: id, records: {rows: data, colums: names}", "Did you mean 'columns'?"),
    ],
)
def test_a_key_that_is_not_asked_for_whole_is_told(tmp_path: Path, said: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        stream_of(tmp_path, said)
    assert complaint in f"{caught.value} {caught.value.hint or ''}"


def test_rows_that_are_lists_become_records(tmp_path: Path) -> None:
    stream = stream_of(
        tmp_path,
        "path: /p, key: id, records: {rows: rows, columns: columns}, single: {list: true, path: '/p/{key}'}",
    )
    answer = Response(200, {}, b'{"rows":[[7,"a"]],"columns":["id","n"]}', BASE)
    page = stream.read(answer, Window(), None)
    assert [record.raw for record in page.records] == [b'{"id":7,"n":"a"}']
    assert stream.read_single(answer, "7").records == page.records
