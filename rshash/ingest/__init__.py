"""Files in, rows of an archive out: streamed, committed as it goes, resumed where it was killed.

Sources (`pictures`, `table`, `scenes`) yield an `Entry` for each row that should be; `run.ingest` encodes those that
the archive lacks or holds otherwise, and tells what could not be used.
"""
