"""Frozen foundation models: from the raw bytes of a medium to its pooled hidden states, layer by layer."""
