"""Pretrained networks that others made, as sources: the figure users will live with."""
