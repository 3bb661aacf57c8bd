"""Motion: optical flow between frames, and shot detection."""
