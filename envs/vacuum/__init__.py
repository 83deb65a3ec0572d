"""A robot vacuum in flats that it has never seen."""
