"""The search-space language, and the ready-made spaces."""
