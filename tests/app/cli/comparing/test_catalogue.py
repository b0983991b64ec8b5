from pathlib import Path

import numpy as np
import pytest

from app.cli.comparing.catalogue import Catalogue, read_catalogue
from crossan.client import ClientError

KINDS = {"text": "text", "image": "image", "look": "image"}


def write(folder: Path, items: str, events: str) -> Path:
    (folder / "items.csv").write_text(items)
    (folder / "events.csv").write_text(events)
    return folder


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    items = "item_id,title,image\na,One,a.png\nb,,b.png\nc,Three,\nd,Four,d.png\n"
    events = (
        "user_id,item_id,timestamp\n"
        "u2,a,30\nu2,c,10\nu2,b,20\n"
        "u1,a,1970-01-01T00:00:05\nu1,d,1970-01-01T01:00:00+01:00\n"
        "u3,zzz,1\nu3,a,never\n"
        "u4,a,7\nu4,b,7\n"
    )
    return read_catalogue(write(tmp_path, items, events), KINDS)


def test_events_are_in_the_order_of_time_and_then_of_the_file(catalogue: Catalogue, tmp_path: Path) -> None:
    assert catalogue.ids == ["a", "b", "c", "d"]
    # u1: d at 0 s (an hour east of Greenwich), a at 5 s; u2: c, b, a; u4: a and b at once. Two lines are of no use.
    assert catalogue.events.items.tolist() == [3, 0, 2, 1, 0, 0, 1]
    assert catalogue.events.times.tolist() == [0, 5, 10, 20, 30, 7, 7]
    assert catalogue.events.offsets.tolist() == [0, 2, 5, 7]
    assert catalogue.unread_events == 2
    assert catalogue.media[0] == {
        "text": {"text": "One."},
        "image": {"file": str(tmp_path / "a.png")},
        "look": {"file": str(tmp_path / "a.png")},
    }
    assert "text" not in catalogue.media[1]
    assert catalogue.modalities == {"text", "image", "look"}


def test_items_that_a_subset_cannot_describe_are_left_out(catalogue: Catalogue) -> None:
    kept = catalogue.describable([("text", "image"), ("image",)])
    assert kept.ids == ["a", "b", "d"]
    assert kept.events.items.tolist() == [2, 0, 1, 0, 0, 1]
    assert kept.events.offsets.tolist() == [0, 2, 4, 6]


def test_the_most_active_items_then_users(catalogue: Catalogue) -> None:
    # Events: a 3, b 2, c 1, d 1.
    kept = catalogue.most_active(items=2, users=None)
    assert kept.ids == ["a", "b"]
    assert kept.events.items.tolist() == [0, 1, 0, 0, 1]
    assert kept.events.offsets.tolist() == [0, 1, 3, 5]
    # u1 has one event about those, u2 and u4 have two.
    fewer = catalogue.most_active(items=2, users=1)
    assert fewer.events.items.tolist() == [1, 0]
    assert fewer.events.times.tolist() == [20, 30]
    assert catalogue.most_active(items=None, users=None).events.digest == catalogue.events.digest
    assert kept.events.digest != catalogue.events.digest
    np.testing.assert_array_equal(kept.events.users, [0, 1, 1, 2, 2])


def test_a_folder_without_usable_events_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, "item_id,title\na,One\n", "user_id,item_id,timestamp\nu,zzz,1\n")
    with pytest.raises(ClientError, match="no events about items"):
        read_catalogue(folder, KINDS)
    (folder / "events.csv").unlink()
    with pytest.raises(ClientError, match="There is no"):
        read_catalogue(folder, KINDS)
