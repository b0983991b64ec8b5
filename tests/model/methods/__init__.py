"""Tests of model/methods/."""
