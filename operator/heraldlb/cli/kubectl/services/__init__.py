"""`kubectl herald services`."""
