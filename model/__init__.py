"""Tensors in, tensors out: the network, its training, its evaluation and its artifacts."""
