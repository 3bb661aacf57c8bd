"""Bytes to frames and frames to bytes: stills, video, and a writer for each format. Nothing here knows of a job."""
