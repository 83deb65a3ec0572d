"""Encoders: what makes features or table indices of observations."""
