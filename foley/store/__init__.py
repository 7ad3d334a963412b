"""Manifests, HDF5 shards, atomic writing."""
