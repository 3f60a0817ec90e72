"""The reference of manifests: every key of the schema is on the page."""

from scheduler.cli.pages.manifest import manifest_reference
from worker.connectors.manifest.schema import schema


def test_every_key_is_on_the_page_with_its_words() -> None:
    page = manifest_reference()
    for name in schema()["properties"]:
        assert f"| `{name}`" in page
    for name in schema()["$defs"]["stream"]["properties"]:
        assert f"| `streams.<name>.{name}` |" in page
    for deep in ("auth.basic.username.secret", "streams.<name>.paging.cursor.path", "secrets.<name>.find"):
        assert f"| `{deep}`" in page


def test_every_row_has_three_cells_and_an_explanation() -> None:
    rows = [line for line in manifest_reference().splitlines() if line.startswith("| `")]
    for row in rows:
        cells = [cell.strip() for cell in row.replace("\\|", "/").strip("|").split("|")]
        assert len(cells) == 3
        assert all(cells)
