"""Which text can Postgres hold?"""


def storable(text: str) -> str:
    """The text without what Postgres refuses: a NUL, or half of a surrogate pair. Systems send both."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
