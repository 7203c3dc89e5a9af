"""Distances between two sets of features: controls that do not see what is to be learned."""
