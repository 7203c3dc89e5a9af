"""The cache: features of targets under sources, kept as verified, immutable HDF5 shards.

Only this part of the package knows HDF5.
"""
