"""A first list as somebody names it: with a query, with names that each connection says."""

import pytest

from scheduler.connectors.kit.first import after_guess, check_base_url, first_of, for_each
from scheduler.connectors.kit.writing import Sketch, manifest_of, manifest_text, with_guess
from worker.errors import InvalidInput

BASE = "https://api.example.com/v1"


def test_a_query_becomes_params_and_names_become_settings() -> None:
    first = first_of("/buckets/{bucketId}/records?state=open&tag=a&tag=b&by={user}", BASE, {"_sort": "id"})
    assert first.path == "/buckets/{bucket_id}/records"
    assert first.params == {"state": "open", "tag": ["a", "b"], "by": "{user}", "_sort": "id"}
    assert first.settings == ("bucket_id", "user")


def test_a_whole_address_below_the_base_url_is_a_path() -> None:
    assert first_of(f"{BASE}/orders?a=", BASE, {}).path == "/orders"
    with pytest.raises(InvalidInput):
        first_of("https://elsewhere.example.com/orders", BASE, {})


@pytest.mark.parametrize("path", ["/a b", "/x/{}", "/x/{1}", "/x{"])
def test_what_is_no_path_is_told_by_its_option(path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        first_of(path, BASE, {})
    assert caught.value.place == "--path"


def test_a_base_url_may_hold_names() -> None:
    assert check_base_url("https://{shop}.example.com/api") == ("shop",)
    for wrong in ("ftp://x", "https://", "https://u:p@h", "https://h/x?a=1"):
        with pytest.raises(InvalidInput):
            check_base_url(wrong)


def test_what_paging_asks_for_is_no_parameter_of_its_own() -> None:
    paging = {"offset": {"param": "_start", "limit_param": "_limit", "size": 100}}
    params, found = after_guess({"_limit": "20", "_start": "0", "state": "open"}, paging)
    assert params == {"state": "open"}
    assert found["offset"]["size"] == 20


def sketch(base_url: str = BASE) -> Sketch:
    made = Sketch("shop", "Shop", base_url, settings=("site",))
    with_guess(
        made, "orders", {"path": "/sites/{site}/orders", "params": {"a": "1"}, "records": "", "key": "id"}, {}
    )
    return made


def test_settings_are_declared() -> None:
    assert manifest_of(sketch()).settings["site"].required
    assert "base_url" not in manifest_of(sketch("https://{site}.example.com")).settings


def test_what_would_be_wrong_names_no_file_that_is_not_there() -> None:
    made = sketch()
    made.streams["orders"]["path"] = "orders"
    with pytest.raises(InvalidInput) as caught:
        manifest_of(made)
    assert caught.value.place is None
    assert "path: orders" in caught.value.message
    assert "path: orders" in manifest_text(made)


def test_a_key_may_stand_behind_a_word() -> None:
    made = sketch()
    made.auth = "header:Authorization:Token"
    assert 'prefix: "Token "' in manifest_text(made)
    assert manifest_of(made).auth.kind == "header"


def test_a_list_below_each_record_of_another_is_told_and_one_record_is_not() -> None:
    streams = {"orders": {"path": "/orders/"}}
    (said,) = for_each(["/orders/{id}", "/parts/{id}/lots", "/orders/{id}/lines/"], streams)
    assert "single: {path: /orders/{key}/lines/}" in said
    assert for_each(["/orders/{id}/"], streams) == []
