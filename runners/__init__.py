"""Runners compose worlds and agents; only they read command lines, write run folders and open windows."""
