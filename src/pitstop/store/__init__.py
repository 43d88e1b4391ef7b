"""Where things are kept: a catalog in SQL, rows in Parquet segments, models as files named by digest, the journal."""
