"""Distances between two sets of features: controls, which do not see what is to be learned."""
