"""The words of items: unique, varied, and coloured by the mood only where it is a written one."""

import re

from app.demo.plan import plan_items
from app.demo.texts import write_text
from app.demo.vocabulary import MOOD_WORDS, TOPIC_WORDS

ITEMS = plan_items(240, 7)
TEXTS = {item.item_id: write_text(item, 7) for item in ITEMS}


def test_titles_are_unique() -> None:
    assert len({title for title, _ in TEXTS.values()}) == len(ITEMS)


def test_descriptions_hardly_repeat() -> None:
    assert len({description for _, description in TEXTS.values()}) >= 0.98 * len(ITEMS)


def test_only_written_moods_speak() -> None:
    for item in ITEMS:
        title, description = TEXTS[item.item_id]
        spoken = {mood for mood, words in MOOD_WORDS.items() if any(s in description for s in words.sentences)}
        assert spoken == ({item.mood} if item.mood_in == "text" else set())
        moody = any(
            title.startswith(f"{adjective} ") for words in MOOD_WORDS.values() for adjective in words.adjectives
        )
        assert moody == (item.mood_in == "text")


def test_every_text_speaks_of_its_topic() -> None:
    for item in ITEMS:
        title, description = TEXTS[item.item_id]
        words = TOPIC_WORDS[item.topic]
        subject = next(name for name in words.subjects if re.search(re.escape(name), title, re.IGNORECASE))
        assert subject.lower() in description.lower()
        assert any(detail in description for detail in words.details)
        assert "{" not in description
