"""Experiments: one folder per question, each run with `python -m experiments.NAME`."""
