"""What operators see of the processes: logs, health and metrics endpoints."""
