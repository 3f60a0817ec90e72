"""A tap's packages in an environment of its own: made by pip from a wheel that lies here, without a network."""

import subprocess
import zipfile
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from worker.errors import NeedsOperator, Transient
from worker.taps.allowed import Allowed
from worker.taps.environments import Environment, _failed, environment_of, folder_of, known_environment

METADATA = "Metadata-Version: 2.1\nName: tap-own\nVersion: 1.2.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
ENTRY = "[console_scripts]\ntap-own = tap_own:main\nown-helper = tap_own:main\n"


@pytest.fixture
def requirement(tmp_path: Path) -> str:
    """`tap-own` as a wheel."""
    wheel = tmp_path / "tap_own-1.2.0-py3-none-any.whl"
    about = "tap_own-1.2.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tap_own.py", "def main():\n    print('it runs')\n")
        for name, text in (
            ("METADATA", METADATA),
            ("WHEEL", WHEEL),
            ("entry_points.txt", ENTRY),
            ("RECORD", ""),
        ):
            file.writestr(f"{about}/{name}", text)
    return f"tap-own@{wheel.as_uri()}"


def test_packages_are_installed_once_and_apart_from_the_workers(requirement: str, tmp_path: Path) -> None:
    tap = Allowed(requirement)
    assert known_environment(tap, tmp_path) is None
    with capture_logs() as logs:
        made = environment_of(tap, tmp_path)
        again = environment_of(tap, tmp_path)
    assert (made, made.version, made.scripts) == (again, "1.2.0", ("own-helper", "tap-own"))
    assert [each["event"] for each in logs if each["log_level"] == "info"] == [
        "tap_installing",
        "tap_installed",
    ]
    assert [each["event"] for each in logs if each["log_level"] == "warning"] == ["tap_not_pinned"]
    program = made.program()
    assert program == folder_of(tap, tmp_path) / "bin" / "tap-own"
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "it runs\n"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("ERROR: No matching distribution found for tap-own==9", NeedsOperator),
        ("ERROR: HTTPSConnectionPool: Max retries exceeded: temporary failure in name resolution", Transient),
    ],
)
def test_what_cannot_be_installed_is_told_with_the_last_words_of_pip(
    said: str, kind: type[Exception]
) -> None:
    lines = [f"line {number}" for number in range(50)]
    failure = _failed(Allowed("tap-own==9"), "\n".join(["WARNING: old", *lines, said]))
    assert isinstance(failure, kind)
    assert failure.code == "tap_not_installed"
    assert failure.message.startswith("tap-own==9 could not be installed: line 43 / ")
    assert failure.message.endswith(said)


def test_the_program_is_the_one_that_is_named_or_can_be_meant() -> None:
    several = Environment(Path("/e"), "1", ("tap-a", "tap-b", "helper"))
    assert several.program("helper") == Path("/e/bin/helper")
    assert Environment(Path("/e"), "1", ("only",)).program() == Path("/e/bin/only")
    for named in (None, "tap-c"):
        with pytest.raises(NeedsOperator) as caught:
            several.program(named)
        assert "tap-a, tap-b, helper" in str(caught.value)
