"""The rim towards the API server: credentials, raw calls, watches through Kopf, the Lease, Events.

Everything here does I/O, `mirror` excepted. What to do with what is read, and what to write, is decided elsewhere.
"""
