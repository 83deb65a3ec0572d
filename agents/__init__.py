"""Ways of learning: they know gymnasium spaces and batches of transitions, and no world."""
