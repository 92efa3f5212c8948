"""Open connections while addresses move and endpoints change, beside kube-proxy's way.

Nothing is imported here: the endpoints are processes of modules of this package, and are to start at once.
"""
