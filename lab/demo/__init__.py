"""`python -m lab.demo`: Herald in a cluster in a box, as its user sees it."""
