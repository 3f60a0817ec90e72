"""Readers whose position is kept here: how far behind they are, and whether they can go on at all."""

import pytest
from servers.rows.feed import Copy

from worker.errors import InvalidInput
from worker.feed.consumers import commit, create_consumer, find_consumer
from worker.feed.epoch import keep_epoch
from worker.feed.position import Place, Position
from worker.feed.reading import look

from .test_epochs import as_if_moved  # type: ignore[import-not-found]
from .test_reading import forget  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


def test_a_reader_is_behind_by_what_is_served_and_by_nothing_beyond(copy: Copy) -> None:
    create_consumer(copy.database, "warehouse")
    copy.write("a")
    late = copy.begin()
    copy.write("late", tx=late)
    copy.write("b")
    assert find_consumer(copy.database, "warehouse").changes == 1
    late.execute("COMMIT")
    assert find_consumer(copy.database, "warehouse").changes == 3


def test_a_reader_that_is_there_already_stays_where_it_is(copy: Copy) -> None:
    copy.write("a")
    commit(copy.database, "warehouse", look(copy.database).latest)
    create_consumer(copy.database, "warehouse")
    assert find_consumer(copy.database, "warehouse").changes == 0


def test_in_a_new_epoch_a_reader_has_all_before_it(copy: Copy) -> None:
    copy.write("a")
    copy.write("b")
    commit(copy.database, "warehouse", look(copy.database).latest)
    as_if_moved(copy.database)
    assert keep_epoch(copy.database)
    found = find_consumer(copy.database, "warehouse")
    assert (found.changes, found.expired) == (2, False)


def test_a_reader_that_must_begin_again_is_shown_as_such(copy: Copy) -> None:
    copy.write("a")
    commit(copy.database, "warehouse", look(copy.database).latest)
    copy.write("a", reason="flag")
    assert not find_consumer(copy.database, "warehouse").expired
    forget(copy, "a")
    assert find_consumer(copy.database, "warehouse").expired


def test_no_reader_is_put_where_the_feed_has_not_come(copy: Copy) -> None:
    copy.write("a")
    feed = look(copy.database)
    with pytest.raises(InvalidInput):
        commit(copy.database, "warehouse", Position(Place(feed.epoch, feed.horizon, 0)))
