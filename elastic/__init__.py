"""Nested and growing weights."""
