import json

import numpy as np
from redis import Redis

from bench.peers.libserving import Served, fill, is_right
from bench.serve.synthetic import draw_histories, draw_vectors


def test_redis_holds_what_its_server_reads(redis_url: str) -> None:
    served = Served(draw_histories(3, 40, 5), draw_vectors(40, 8))
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        fill(redis, served)
        assert redis.get("model_name") == "ItemCF"
        assert redis.hget("user2id", "u2") == "2"
        assert redis.hget("id2item", "39") == "i39"
        assert json.loads(str(redis.hget("user_consumed", "1"))) == served.histories[1].tolist()
        assert len(json.loads(str(redis.hget("user_embed", "0")))) == 8
        near = json.loads(str(redis.hget("k_sims", "0")))
    unit = served.vectors / np.linalg.norm(served.vectors, axis=1, keepdims=True)
    likeness = unit @ unit[0]
    likeness[0] = -1
    assert {item for item, _ in near} == set(np.argsort(-likeness)[:20].tolist())
    assert all(abs(likeness[item] - score) < 1e-5 for item, score in near)


def test_ten_items_are_right() -> None:
    assert is_right({"Recommend result for user u1": ["i1"] * 10})
    assert not is_right({"Recommend result for user u1": ["i1"] * 9})
