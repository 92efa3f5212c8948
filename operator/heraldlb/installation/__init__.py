"""What the chart runs once: bringing the definitions up to date, and proving that an installation works."""
