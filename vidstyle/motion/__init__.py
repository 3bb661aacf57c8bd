"""How two frames correspond, and where a shot ends."""
