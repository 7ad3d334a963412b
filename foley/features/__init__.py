"""Visual and audio features, cached in HDF5 shards."""
