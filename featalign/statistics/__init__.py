"""Sufficient statistics of features and labels, gathered in one pass and merged associatively."""
