"""From painted frames to the files that were asked for, and what is given up to fit a size."""
