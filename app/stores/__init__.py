"""The world outside PostgreSQL: blobs, features, artifacts, the queue and the cache, each behind a small protocol."""
