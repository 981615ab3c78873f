"""Nested weights: super-networks that are trained once and cut to any size at deploy time."""
