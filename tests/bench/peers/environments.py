"""How does a peer come onto this machine? From its locked requirements, once, into `.cache/bench-<name>-<digest>`.

They are kept apart from ours and from each other, since they want other versions of the same packages.
"""

import sys
from pathlib import Path

from tests.servers.kept import CouldNotMake, digest_of, kept, run

REQUIREMENTS = Path(__file__).with_name("requirements")


class NotInstalled(Exception):
    """The peer can't be had here: its row is left out, and says why."""


def python(name: str) -> Path:
    """The interpreter of the environment that `<name>.txt` describes; made at the first call, in a minute or two."""
    requirements = REQUIREMENTS / f"{name}.txt"
    digest = digest_of(requirements.read_bytes(), sys.version)
    try:
        folder = kept(f"bench-{name}-{digest}", lambda made: _install(made, requirements))
    except CouldNotMake as exc:
        raise NotInstalled(f"{name} could not be installed: {exc}") from exc
    return folder / "venv" / "bin" / "python"


def _install(folder: Path, requirements: Path) -> None:
    interpreter = folder / "venv" / "bin" / "python"
    run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder=folder)
    uv = Path(sys.executable).with_name("uv")
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        interpreter,
        "--require-hashes",
        "-r",
        requirements,
    ]
    try:
        run(install, folder=folder)
    except CouldNotMake:
        # Behind a company's proxy only the system's list of authorities will do.
        run([*install, "--system-certs"], folder=folder)
