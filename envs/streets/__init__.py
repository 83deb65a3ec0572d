"""Streets: maps of them, drawn at random or read from OpenStreetMap, and ways on them."""
