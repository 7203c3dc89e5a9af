"""A real text encoder against networks of its size that nobody trained, on eleven sets of texts."""
