"""Tests of bench.serve."""
