"""Reads a folder of items, media and events, and sends it through the REST API."""
