"""A maze of pellets, four ghosts, and power that turns the hunt round."""
