"""What would become of Services, by the controller's own decisions. Pure: no I/O, no clock."""
