"""What a node sees of itself and of its network segments: told by its agent when asked."""
