"""OpenStreetMap extracts become street maps: read, simplified, laid on a lattice of streets, drawn in cells.

`reader` takes from a file what matters, `network` makes a graph of it, `edges` lets traffic leave and enter
where the file ends, `merging` joins what lies too close together for the grid, `lattice` finds each junction
a place and each street a way, `drawing` turns these into the characters of a map, and `distortion` measures
what the result is worth. `importing` calls them in turn.
"""
