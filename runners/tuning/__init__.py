"""Tuning of settings: searches, and what the settings are worth that they found."""
