"""Studies of encoders and of traffic."""
