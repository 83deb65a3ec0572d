"""What is asked for: settings, names, files, environments."""
