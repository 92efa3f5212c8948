"""The objects Herald reads and writes, as frozen views parsed from what the API server sends.

Nothing here does I/O. A view holds the few fields that decisions need; a parser takes the decoded JSON of one
object and never raises for content that the API server accepts: what cannot be used is reported in the view.
"""
