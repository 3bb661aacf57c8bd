"""The sources of a job's frames: a clip or a picture, its motion, masks, regions, styles and key frames."""
