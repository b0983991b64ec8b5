"""Times implicit's `recommend` for one user after another: a line in, microseconds of one call out."""

import sys
import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

CALLS = 200


def main(path: str, width: int) -> None:
    """Fit on histories [users, s] and answer until the input ends."""
    histories = np.load(path)
    users, events = histories.shape
    rows = np.repeat(np.arange(users), events)
    seen = csr_matrix((np.ones(histories.size, np.float32), (rows, histories.ravel())))
    model = AlternatingLeastSquares(factors=width, iterations=2, num_threads=1)
    model.fit(seen, show_progress=False)
    for _ in sys.stdin:
        start = time.perf_counter()
        for user in range(CALLS):
            model.recommend(user % users, seen[user % users], N=10)
        sys.stdout.write(f"{(time.perf_counter() - start) / CALLS * 1e6}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
