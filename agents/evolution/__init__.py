"""Evolution: genetic algorithms and NEAT."""
