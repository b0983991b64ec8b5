"""Past answers, computed again from what was recorded of them."""
