"""What the page on security says to whoever writes a scanner of leaked secrets is how tokens are."""

import re
import zlib
from pathlib import Path

from scheduler.access.tokens import environment_of, make_token

PAGE = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_the_pattern_of_the_page_finds_tokens_and_the_checksum_tells_them_from_what_only_looks_so() -> None:
    [pattern] = re.findall(r"`(hr_\(live\|test\)_[^`]+)`", PAGE)
    tokens = [make_token(environment) for environment in ("live", "test") for _ in range(20)]
    assert [found[0] for found in re.finditer(pattern, " ".join(tokens))] == tokens
    for token in tokens:
        number, digits = zlib.crc32(token[:-6].encode()), ""
        for _ in range(6):
            number, digit = divmod(number, 62)
            digits = ALPHABET[digit] + digits
        assert token[-6:] == digits
    [example] = re.findall(r"^ +(hr_live_\w+)   \(made up\)$", PAGE, re.MULTILINE)
    assert re.fullmatch(pattern, example)
    assert environment_of(example) is None  # nobody's scanner shall ring for this page
