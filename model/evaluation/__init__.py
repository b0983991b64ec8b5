"""Judging a recommender: rankings of the whole catalogue, slices, contributions of modalities, versions on disk."""
