"""stable-baselines3's algorithms."""
