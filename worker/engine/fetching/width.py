"""How many pages of one run may be on their way at once? Pure arithmetic on what has been seen of it so far.

Where the end is known, all that is allowed. Else as many as were read before, so that it doubles with each round trip, and
no more is asked for beyond the end than was read before it. A refusal halves it, and from then on it grows by one after
several rounds without another.
"""

GOOD_ROUNDS = 8


class Width:
    """The width of one window, between one and `most`."""

    __slots__ = ("_good", "_now", "_refused", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._now = 0
        self._refused = False
        self._good = 0

    @property
    def now(self) -> int:
        """Pages under way at a time."""
        return max(1, min(self._now, self.most))

    @property
    def line(self) -> int:
        """Pages under way and waiting for their turn: twice as many, so that fetching goes on while some are loaded."""
        return max(1, self._now)

    def arrived(self, *, end_known: bool) -> None:
        """A page came, and it isn't the last."""
        self._good += 1
        if not self._refused:
            self._now = self._longest if end_known else min(self._longest, self._now + 1)
        elif self._good >= GOOD_ROUNDS * self.now:
            self._now, self._good = min(self.most, self.now + 1), 0

    @property
    def _longest(self) -> int:
        return 2 * self.most if self.most > 1 else 1

    def refused(self) -> None:
        """A page that was asked for beside others was refused, or went wrong."""
        self._now, self._good, self._refused = self.now // 2, 0, True

    def guessed_wrong(self) -> None:
        """Pages don't lie where they were looked for: from here on they come one after the other."""
        self.most = self._now = 1
