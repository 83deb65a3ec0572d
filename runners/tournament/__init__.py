"""Tournaments: who takes part, matches, standings, report."""
