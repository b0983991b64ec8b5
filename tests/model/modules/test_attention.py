import torch

from model.modules.attention import Attention


def test_attention_is_softmax_over_the_visible() -> None:
    torch.manual_seed(0)
    attention = Attention(4, 2)
    queries, sequence = torch.randn(1, 2, 4), torch.randn(1, 3, 4)
    visible = torch.tensor([[[[True, False, True], [True, True, False]]]])
    key, value = attention.key_value(sequence[0]).chunk(2, dim=-1)
    query = attention.query(queries[0])
    expected = torch.zeros(2, 4)
    for head in (slice(0, 2), slice(2, 4)):
        for q in range(2):
            places = [s for s in range(3) if visible[0, 0, q, s]]
            weights = torch.softmax(torch.stack([query[q, head] @ key[s, head] / 2**0.5 for s in places]), dim=0)
            expected[q, head] = sum(weight * value[s, head] for weight, s in zip(weights, places, strict=True))
    torch.testing.assert_close(attention(queries, sequence, visible)[0], attention.output(expected))
