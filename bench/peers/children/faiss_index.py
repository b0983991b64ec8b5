"""Writes a faiss index of vectors where LibRecommender's serving looks for it: `faiss_index.py NPY`."""

import sys
from pathlib import Path

import faiss
import libserving
import numpy as np

LISTS, PROBES = 80, 10


def main(path: str) -> None:
    """As its `save_faiss_index` does."""
    vectors = np.load(path)
    quantizer = faiss.IndexFlatIP(vectors.shape[1])
    index = faiss.IndexIVFFlat(quantizer, vectors.shape[1], LISTS, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    index.nprobe = PROBES
    faiss.write_index(index, str(Path(libserving.__file__).parent / "faiss_index.bin"))


if __name__ == "__main__":
    main(sys.argv[1])
