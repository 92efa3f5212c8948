"""`kubectl herald explain`: the story of one Service, chapter by chapter; each chapter is a module."""
