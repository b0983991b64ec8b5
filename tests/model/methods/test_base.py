import torch

from model.methods.base import hide_modality


def test_hiding_a_modality_touches_only_what_is_present() -> None:
    numbers, states = torch.arange(3), torch.ones(3, 2, 4)
    present = torch.tensor([[True, True], [False, True], [True, False]])
    for inputs, place in (((present, states), 0), ((numbers, present, states), 1)):
        hidden = hide_modality(inputs, 1)
        assert hidden[place].tolist() == [[True, False], [False, False], [True, False]]
        assert all(one is two for number, (one, two) in enumerate(zip(inputs, hidden, strict=True)) if number != place)
    assert present[:, 1].tolist() == [True, True, False], "the inputs themselves may be shared and stay as they are"
