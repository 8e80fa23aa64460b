"""Codes and their items in files that last.

An archive is a directory: ``manifest.json``, memory-mapped ``codes-*.npy``, ``items-*.parquet`` (GeoParquet; row i
belongs to code i), bitmaps of living rows, and the hasher that made the codes. Every file opens with plain tools;
docs/archive-format.md specifies them.
"""
