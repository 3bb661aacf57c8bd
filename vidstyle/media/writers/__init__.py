"""Writers, from frames to files: a sink for each format, with atomic writes."""
