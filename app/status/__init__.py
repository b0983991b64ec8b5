"""What there is and what is going on, in numbers."""
