"""Archives as other systems read them: plain arrays, faiss, Parquet, PostgreSQL. One file a system."""
