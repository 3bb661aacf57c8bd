"""What paintings are worth: temporal consistency, perceptual uniformity, a comparison, the report of a clip."""
