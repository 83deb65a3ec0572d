"""Models that draw levels after those that others drew; they know letters in rows, and no world."""
