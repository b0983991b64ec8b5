from pathlib import Path

import pytest

from app.cli.importer.folder import read_events, read_items
from crossan.client import ClientError


def write(folder: Path, items: str, events: str = "") -> Path:
    (folder / "items.csv").write_text(items, encoding="utf-8")
    if events:
        (folder / "events.csv").write_text(events, encoding="utf-8")
    return folder


def test_a_film_becomes_fields_text_and_files(tmp_path: Path) -> None:
    header = "item_id,title,genres,plot,director,year,imdb_id,image,audio\n"
    rows = 'm-0,Toy Story (1995),Animation|Comedy,A doll is jealous.,"Lasseter, John",1995,tt0114709,images/0.jpg,\n'
    (item,) = read_items(write(tmp_path, header + rows))
    assert item.item_id == "m-0"
    assert item.fields == {
        "title": "Toy Story (1995)",
        "description": "A doll is jealous.",
        "categories": ["Animation", "Comedy"],
        "attributes": {"director": "Lasseter, John", "year": "1995", "imdb_id": "tt0114709"},
    }
    assert item.text == "Toy Story (1995). Animation, Comedy. A doll is jealous. Director: Lasseter, John."
    assert item.files == {"image": tmp_path / "images/0.jpg"}


def test_categories_alone_make_no_text(tmp_path: Path) -> None:
    (item,) = read_items(write(tmp_path, "item_id,title,categories,description,synthetic\nd-1,,Sea|Synthetic,,true\n"))
    assert item.text is None
    assert item.fields["categories"] == ["Sea", "Synthetic"]
    assert item.fields["attributes"] == {"synthetic": "true"}


def test_numbers_dates_and_truth_values_are_no_prose(tmp_path: Path) -> None:
    header = "item_id,title,price,day,sold,shade\n"
    first, second = read_items(write(tmp_path, header + "a,Lamp,9.90,2024-01-02,yes,\nb,Rug,7,,no,dark red\n"))
    assert first.text == "Lamp."
    assert second.text == "Rug. Shade: dark red."


def test_a_text_file_takes_the_place_of_the_composed_text(tmp_path: Path) -> None:
    (item,) = read_items(write(tmp_path, "item_id,title,text\na,Book,texts/a.txt\n"))
    assert item.text is None
    assert item.files == {"text": tmp_path / "texts/a.txt"}


def test_availability_and_date_are_fields_of_their_own(tmp_path: Path) -> None:
    (item,) = read_items(write(tmp_path, "item_id,available,published_at\na,false,2024-01-01T00:00:00Z\n"))
    assert item.fields["available"] is False
    assert item.fields["published_at"] == "2024-01-01T00:00:00Z"
    assert item.fields["attributes"] == {}


@pytest.mark.parametrize("missing", ["items.csv", "column"])
def test_a_folder_of_another_format_is_named(tmp_path: Path, missing: str) -> None:
    if missing == "column":
        write(tmp_path, "id,title\n1,x\n")
    with pytest.raises(ClientError, match=r"items\.csv"):
        read_items(tmp_path)


def test_events_take_rating_type_and_time_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, "item_id\n", "user_id,item_id,rating,timestamp\nu,i,4,874724710\nu,j,,2024-01-01T00:00:00Z\n")
    assert list(read_events(tmp_path / "events.csv")) == [
        (2, {"user_id": "u", "item_id": "i", "type": "rating", "value": 4.0, "timestamp": 874724710.0}),
        (3, {"user_id": "u", "item_id": "j", "type": "view", "timestamp": "2024-01-01T00:00:00Z"}),
    ]


def test_a_type_of_ones_own_and_a_value(tmp_path: Path) -> None:
    write(tmp_path, "item_id\n", "user_id,item_id,type,value,timestamp,event_id\nu,i,buy,2.5,1,e1\n")
    expected = {"user_id": "u", "item_id": "i", "type": "buy", "value": 2.5, "timestamp": 1.0, "event_id": "e1"}
    assert list(read_events(tmp_path / "events.csv")) == [(2, expected)]


def test_a_bad_row_is_reported_and_the_next_one_read(tmp_path: Path) -> None:
    write(tmp_path, "item_id\n", "user_id,item_id,rating,timestamp\nu,i,good,1\n,i,1,2\nu,i,1,3\n")
    (first, why), (second, lacks), (third, event) = read_events(tmp_path / "events.csv")
    assert (first, second, third) == (2, 3, 4)
    assert "could not convert" in str(why)
    assert "empty" in str(lacks)
    assert isinstance(event, dict)
