"""Finds the items of highest inner product with a user: exactly, by 8-bit copies, by a graph, or in PostgreSQL."""
