import torch
from torch.nn import functional

from model.config import CatalogueShape, ModalityConfig, parse_config
from model.methods.frozen import FROZEN, build_tower
from tests.model.conftest import small_config
from tests.model.synthetic import content_log

SHAPES = (ModalityConfig("text", 24, 7), ModalityConfig("image", 32, 13))


def test_tower_is_linear_gelu_and_linear_experts() -> None:
    torch.manual_seed(0)
    config = parse_config("frozen", {"item_width": 10, "side_width": 12})
    tower = build_tower(config, CatalogueShape(5, SHAPES)).eval()
    states = [torch.randn(4, 1, modality.width) for modality in SHAPES]
    present = torch.tensor([[True, True], [True, False], [False, True], [True, True]])
    vectors, shares = tower(present, *states)
    for item in range(4):
        read = torch.zeros(2, 12)
        for k in range(2):
            if present[item, k]:
                normed = functional.layer_norm(states[k][item, 0], states[k].shape[-1:])
                linear = tower.reader.projections[k]
                read[k] = functional.gelu(normed @ linear.weight[0] + linear.bias[0, 0])
        logits = tower.fusion.gate(read.flatten()).masked_fill(~present[item], -torch.inf)
        pi = torch.softmax(logits, dim=0)
        mixed = sum(pi[k] * tower.fusion.experts[k](read[k]) for k in range(2))
        torch.testing.assert_close(shares[item], pi)
        torch.testing.assert_close(vectors[item], tower.fusion.norm(mixed), atol=1e-5, rtol=1e-5)


def test_it_reads_the_last_states() -> None:
    dataset = content_log(users=10)
    inputs = FROZEN.build_inputs(small_config("frozen"), dataset, "cpu")
    present, *states = inputs.gather(torch.arange(120))
    for column, (table, part) in enumerate(zip(dataset.features, states, strict=True)):
        item = int(present[:, column].nonzero()[0, 0])
        expected = table.states[table.row_of_item[item], -1].astype("float32").tolist()
        assert part[item, 0].tolist() == expected
