"""Whether gradients tell the gain of fine-tuning over training from scratch.

Evidence from the cache is held against really trained arms.
"""
