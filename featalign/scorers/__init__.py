"""Scorers: pure functions from statistics to a number. One file each, listed in registry.py."""
