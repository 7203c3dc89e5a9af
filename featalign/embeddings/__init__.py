"""The cache: features of targets under sources, kept as verified, immutable HDF5 shards.

The only part of the package that knows HDF5.
"""
