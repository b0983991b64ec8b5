import numpy as np
import pytest

from model.data.dataset import Dataset, FeatureTable, TrainingDataError, interactions_of
from tests.model.synthetic import content_log


def test_interactions_by_user() -> None:
    events = interactions_of([[3, 1], [], [2, 0, 1]])
    assert events.offsets.tolist() == [0, 2, 2, 5]
    assert (len(events), events.lengths.tolist(), events.users.tolist()) == (3, [2, 0, 3], [0, 0, 2, 2, 2])
    assert events.of(2).tolist() == [2, 0, 1]


def test_part_and_keep_stay_consistent() -> None:
    events = interactions_of([[3, 1], [], [2, 0, 1]])
    assert [events.part(1, 3).of(user).tolist() for user in range(2)] == [[], [2, 0, 1]]
    kept = events.keep(events.items != 1)
    assert [kept.of(user).tolist() for user in range(3)] == [[3], [], [2, 0]]


def test_shape_and_presence_follow_the_tables() -> None:
    dataset = content_log()
    assert [(one.name, one.layers_total, one.width) for one in dataset.shape.modalities] == [
        ("text", 5, 24),
        ("image", 9, 32),
        ("audio", 3, 16),
    ]
    assert dataset.present.shape == (120, 3)
    assert dataset.present[1:, 0].all()
    assert not dataset.present[0].any()
    assert not dataset.present[:, 1].all()


def test_events_outside_the_catalogue_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="outside the catalogue of 3"):
        Dataset(3, [], interactions_of([[0, 3]]))


def test_features_that_do_not_fit_are_refused() -> None:
    table = FeatureTable("text", np.zeros((1, 2, 4), np.float16), np.array([0, 1], np.int32))
    with pytest.raises(TrainingDataError, match="text features do not fit"):
        Dataset(2, [table], interactions_of([[0, 1]]))
