"""`meze/FireEscape-v0`: the way out of a burning building; the living example of how a world is written."""
