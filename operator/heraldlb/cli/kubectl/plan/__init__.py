"""`kubectl herald plan`: what an edit of pools and announcements would do, before it is applied."""
