"""The hot path: sequence, user encoder, top of the catalogue."""
