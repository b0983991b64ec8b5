"""One file of routes per domain."""
