"""From painted frames to the frames of an output: playback order and times, layouts, overlays, contact sheets."""
