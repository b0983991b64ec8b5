"""Tests of app/recommendations/filters."""
