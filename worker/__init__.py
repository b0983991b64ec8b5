"""Celery workers: thin tasks that call the same services as the API, and hand them the torch encoders and trainers."""
