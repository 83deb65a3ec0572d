"""A tram that must choose: costs outside, aboard and in time, told apart and never added up by the world."""
