"""Programs that the interpreters of peers run: each stands alone, and imports what that environment has."""
