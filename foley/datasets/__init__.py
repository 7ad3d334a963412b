"""Data sets: what exists, how it is acquired, checked, cut and split.

A data set is a module, named in ``foley/registry.py``, with

``INFO``
    a :class:`~foley.datasets.info.DatasetInfo`: source, licence, files, split;
``Settings``
    a frozen pydantic class that forbids unknown keys;
``list_sources(settings, *, n_shards, data_dir, seed)``
    the recordings that it asks for, as an iterable of :class:`~foley.store.manifests.Source` in any
    order; a list of millions is given row by row. Files that the whole data set needs and that are
    missing are a :class:`~foley.errors.FoleyError` that names them and says where to ask for them;
``fetch(settings, sources, *, data_dir, seed)``
    the files of one shard: a :class:`~foley.store.manifests.Medium` for each source, in their order,
    and the :class:`~foley.store.manifests.Event` rows that are known, in the recording's own time. A
    recording that cannot be had is a row with a reason, never an exception.
"""
