"""Many jobs in one TOML file: `tables` reads it, `runs` checks and paints, `records` keeps what is done.

A room above the public functions: it gives them what the file says, as a program would.
"""
