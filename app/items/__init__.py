"""Items and their media: intake, encoding, vectors."""
