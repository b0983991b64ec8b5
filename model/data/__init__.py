"""What a training reads: events, hidden states, splits and batches, all as numpy arrays."""
