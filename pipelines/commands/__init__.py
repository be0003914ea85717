"""The commands of ``nunatak``, one a file."""
