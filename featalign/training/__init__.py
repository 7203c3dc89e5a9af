"""Real training of the arms of a source."""
