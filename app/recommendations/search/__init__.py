"""Finds the items of highest inner product with a user: exactly, by 8-bit copies, or by a graph, here or in PostgreSQL."""
