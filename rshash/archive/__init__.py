"""Codes and their items in files that last.

An archive is a directory: ``manifest.json``, ``codes.npy`` (memory-mapped), ``items.jsonl`` with ``item_offsets.npy``
(row i belongs to code i), and the hasher that made the codes under ``hasher/``. Every file opens with plain tools.
"""
