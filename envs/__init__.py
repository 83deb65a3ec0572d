"""Worlds to learn in; they know nothing of agents."""
