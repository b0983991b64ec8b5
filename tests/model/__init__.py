"""Tests of model/, mirroring its tree."""
