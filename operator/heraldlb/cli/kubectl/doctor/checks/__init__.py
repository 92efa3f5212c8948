"""The checks, a module a theme: each a pure function from what was seen to findings."""
