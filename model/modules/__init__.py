"""The parts of the network, one part of the paper's figure per file."""
