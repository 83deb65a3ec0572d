"""A run: its folder, training, evaluation and recording."""
