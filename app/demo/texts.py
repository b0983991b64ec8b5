"""Writes titles and descriptions from the vocabulary of topics and moods."""

from __future__ import annotations

from random import Random

from app.demo.plan import DemoItem
from app.demo.vocabulary import MOOD_WORDS, PLAIN_SENTENCES, TOPIC_WORDS


def write_text(item: DemoItem, seed: int) -> tuple[str, str]:
    """Writes an item's title and description; its mood shows only if it is a written one.

    Args:
        item: The planned item.
        seed: Decides the choice of words.

    Returns:
        Title and description. Titles are unique in a catalogue of up to 720 items.
    """
    words = TOPIC_WORDS[item.topic]
    order = Random(f"words {seed} {item.topic}")
    subjects = order.sample(words.subjects, len(words.subjects))
    places = order.sample(words.places, len(words.places))
    lap, step = divmod(item.number, len(subjects))
    subject, place = subjects[step], places[(item.number + lap) % len(places)]

    rng = Random(f"text {seed} {item.item_id}")
    opening = rng.choice(words.openings).format(subject=_lower_first(subject)) + "."
    sentences = [opening, rng.choice(words.details), *_mood_sentences(item.written_mood, rng)]
    if rng.random() < 0.3:
        sentences.insert(0, sentences.pop())
    return _title(subject, place, item.written_mood, rng), " ".join(sentences)


def _title(subject: str, place: str, mood: str | None, rng: Random) -> str:
    if mood is None:
        return f"{subject} {place}"
    return f"{rng.choice(MOOD_WORDS[mood].adjectives)} {_lower_first(subject)} {place}"


def _mood_sentences(mood: str | None, rng: Random) -> list[str]:
    if mood is None:
        return [rng.choice(PLAIN_SENTENCES)]
    return rng.sample(MOOD_WORDS[mood].sentences, 2)


def _lower_first(phrase: str) -> str:
    return phrase[0].lower() + phrase[1:]
