"""Tells other systems what happened: signed, retried."""
