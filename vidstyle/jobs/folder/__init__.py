"""The job folder: what lies in it, written whole or not at all, locked, and read again."""
