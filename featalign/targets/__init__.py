"""Targets: the user's labelled datasets, how they are loaded, split and read in batches."""
