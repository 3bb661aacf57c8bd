"""What is seen of painted frames: in which order and when, beside what, with which words."""
