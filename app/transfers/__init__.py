"""Whole catalogues in and out: batches, streams, import and export jobs, media by URL."""
