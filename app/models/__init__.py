"""Trained versions: publishing, the live pointer, and item vectors under each version."""
