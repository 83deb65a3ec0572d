"""`meze/City-v0`: driving on a grid of directed lanes among traffic."""
