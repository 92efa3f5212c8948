"""`kubectl herald status`."""
