"""`kubectl herald pools`."""
