"""The node agent: watches the cluster and keeps its two roles, speaker and forwarder, supplied with what they need.

Neither role waits for the API server: each goes on from the last known state for as long as it is away.
"""
