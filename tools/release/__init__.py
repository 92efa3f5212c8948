"""A release's version: where it is written, and what becomes of the changelog."""
