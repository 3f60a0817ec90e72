"""Which records does the source of the benchmark hold, and what does a page of them look like?

Work orders of about 1 kB with 25 fields, ordered by (updated_at, id), the same for the same seed. They lie one behind
the other in one piece of memory, separated as in a JSON list, so a page of any size at any place is a slice of it.
"""

import random
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)
SPACING = timedelta(milliseconds=250)
WORDS = [
    "pump",
    "valve",
    "motor",
    "bearing",
    "filter",
    "belt",
    "gasket",
    "seal",
    "inspect",
    "replace",
    "clean",
    "leak",
    "noise",
    "vibration",
    "line",
    "press",
    "boiler",
    "chiller",
]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Rows:
    """The records, and what has been changed in them since the last `reset`."""

    def __init__(self, count: int, seed: int = 7) -> None:
        self._original = _generate(count, seed)
        self.reset()

    def reset(self) -> None:
        """As at the start."""
        self._rows = list(self._original)
        self.changed: set[int] = set()
        self._epoch = 0
        self._changed_at = BEGINNING
        self._lay_out()

    def __len__(self) -> int:
        return len(self._rows)

    def touched(self, number: str, now: datetime) -> bytes:
        """A row of this id as if it had changed now; nothing else is changed by it."""
        row = _decode(self._rows[int(number) % len(self._rows)][2])
        return _encode(row | {"id": int(number), "updated_at": now.isoformat().replace("+00:00", "Z")})

    def mutate(self, count: int, now: datetime) -> None:
        """Change so many records, chosen by chance, since the last change and up to now: a millisecond apart if that fits."""
        dice = random.Random(self._epoch)
        self._epoch += 1
        chosen = sorted(dice.sample(range(len(self._rows)), count))
        # Never before the last change: whoever synced meanwhile would not be told of it.
        step = min(timedelta(milliseconds=1), (now - self._changed_at) // count)
        self._changed_at = now
        moved = []
        for place, index in enumerate(chosen, start=1):
            record = _decode(self._rows[index][2])
            when = stamp(now - step * (count - place))
            self.changed.add(record["id"])
            record |= {
                "updated_at": when,
                "status": "changed",
                "actual_minutes": record["actual_minutes"] + 1,
            }
            moved.append((when, record["id"], _encode(record)))
        gone = set(chosen)
        self._rows = sorted([row for index, row in enumerate(self._rows) if index not in gone] + moved)
        self._lay_out()

    def slice(self, begin: int, end: int) -> memoryview:
        """The records from `begin` up to `end`, with commas between them."""
        if end <= begin:
            return memoryview(b"")
        return self._laid[self._at[begin] : self._at[end] - 1]

    def within(self, since: str | None, until: str | None) -> tuple[int, int]:
        """Where the records begin and end whose updated_at is from `since` to `until`, both included."""
        begin = bisect_left(self._times, since) if since else 0
        end = bisect_right(self._times, until) if until else len(self._rows)
        return begin, max(begin, end)

    def after(self, cursor: str) -> int:
        """Where the records behind a cursor begin."""
        when, _, number = cursor.partition("_")
        return bisect_right(self._keys, (when, int(number)))

    def cursor(self, index: int) -> str:
        """What names the place behind the record before `index`."""
        when, number, _ = self._rows[index - 1]
        return f"{when}_{number}"

    def content(self) -> list[list[Any]]:
        """Of each record: its id, its time of change and its bytes as text. To compare a copy with."""
        return [[number, when, raw.decode()] for when, number, raw in self._rows]

    def _lay_out(self) -> None:
        self._times = [row[0] for row in self._rows]
        self._keys = [row[:2] for row in self._rows]
        self._laid = memoryview(b",".join([*(row[2] for row in self._rows), b""]))
        self._at = [0]
        for row in self._rows:
            self._at.append(self._at[-1] + len(row[2]) + 1)


def stamp(moment: datetime) -> str:
    """A time as the source writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def normal(text: str) -> str:
    """Any spelling of a time as the source's own, so that they sort as text."""
    moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped plus
    return stamp((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC))


def _generate(count: int, seed: int) -> list[tuple[str, int, bytes]]:
    dice = random.Random(seed)
    phrases = [" ".join(dice.choices(WORDS, k=34)) for _ in range(4096)]
    rows = []
    for number in range(1, count + 1):
        when = stamp(BEGINNING + number * SPACING)
        rows.append((when, number, _encode(_record(number, dice, when, phrases))))
    return rows


def _record(number: int, dice: random.Random, when: str, phrases: list[str]) -> dict[str, Any]:
    made = BEGINNING - timedelta(seconds=dice.randrange(10**7))
    below = dice.randrange
    phrase = phrases[below(4096)]
    words = phrase.split(" ", 7)
    return {
        "id": number,
        "number": f"WO-{number:07d}",
        "title": " ".join(words[:4]),
        "description": phrase,
        "status": ("open", "in_progress", "on_hold", "done")[below(4)],
        "priority": ("low", "medium", "high")[below(3)],
        "type": ("reactive", "preventive")[below(2)],
        "asset_id": below(5000),
        "location_id": below(300),
        "team_id": below(40),
        "assignee_id": below(900) or None,
        "requester_id": below(900),
        "due_at": stamp(made + timedelta(days=7)),
        "started_at": stamp(made),
        "completed_at": None if number % 3 else stamp(made + timedelta(days=3)),
        "estimated_minutes": below(15, 480),
        "actual_minutes": below(15, 480),
        "labor_cost": below(90_000) / 100,
        "parts_cost": below(50_000) / 100,
        "is_archived": number % 17 == 0,
        "external_ref": f"{dice.getrandbits(64):016x}",
        "address": {
            "street": " ".join(words[4:6]),
            "city": words[6],
            "zip": f"{below(10**5):05d}",
            "geo": {"lat": below(9_000_000) / 100_000, "lon": below(9_000_000) / 100_000},
        },
        "lines": [
            {
                "line_no": line,
                "part": f"P-{below(9999):04d}",
                "qty": below(1, 9),
                "unit_cost": below(9900) / 100,
            }
            for line in (1, 2)
        ],
        "created_at": stamp(made),
        "updated_at": when,
    }
