"""Sources: candidate pretrained models and how they are loaded."""
