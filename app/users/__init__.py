"""Users: what is known of them, and how it is erased."""
