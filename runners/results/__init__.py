"""Results: trained runs of which each is a line in a file, and who doubts one trains it again."""
