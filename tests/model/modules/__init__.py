"""Tests of model/modules/."""
