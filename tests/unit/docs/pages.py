"""What is written for people, taken apart: pages, fenced blocks, links and command lines."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
SYSTEM_PAGES = sorted((ROOT / "worker" / "connectors" / "catalog").glob("*/README.md"))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_SEPARATORS = {"|", "||", "&&", "&", ";", ">", ">>", "<"}


@dataclass(frozen=True)
class Block:
    """A fenced block and where it stands."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{place(self.page)}:{self.line}"


def place(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(*languages: str) -> list[Block]:
    """Every fenced block in one of these languages."""
    found: list[Block] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found += [
            Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
            for match in _FENCE.finditer(text)
            if match[1] in languages
        ]
    return found


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def inline_codes(page: Path) -> list[str]:
    return _INLINE.findall(prose(page))


def links(page: Path) -> list[str]:
    """What the page links to, but for what is elsewhere on the web."""
    return [target for target in _LINK.findall(prose(page)) if not target.startswith(("http://", "https://"))]


def anchors(page: Path) -> set[str]:
    """The anchors that a code host gives the headings of the page."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(prose(page))
    }


def shell_lines(block: Block) -> list[str]:
    """The commands of a block, each on one line. In a console block they follow a `$`, the rest is output."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        return [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def calls(line: str, program: str) -> Iterator[list[str]]:
    """The arguments of each call of the program in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    current: list[str] | None = None
    fresh = True
    for word in lexer:
        if word in _SEPARATORS:
            if current is not None:
                yield current
            current, fresh = None, word not in {">", ">>", "<"}
        elif current is not None:
            current.append(word)
        elif fresh and word == program:
            current = []
        elif fresh and not re.fullmatch(r"[A-Z_]+=.*", word):
            fresh = False
    if current is not None:
        yield current
