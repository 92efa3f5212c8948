"""`kubectl herald migrate`: from another load balancer to Herald."""
