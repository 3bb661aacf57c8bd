"""From painted frames to the files that were asked for: `export` and `targets`, `figure` for an article, and what
`budget` gives up to fit a size.
"""
