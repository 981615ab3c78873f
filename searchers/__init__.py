"""Searchers: policies that answer the decisions of a space."""
