"""Draws the Grafana dashboard of the chart from what a real Prometheus answers, for the documentation."""
