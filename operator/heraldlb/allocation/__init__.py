"""Which address a Service gets, and why not. Pure: no I/O, no clock, no Kubernetes client.

`decide` is a function of the request, the pools and the ledger of what is held. The ledger is the only state,
and its owner (the controller) the only one who changes it.
"""
