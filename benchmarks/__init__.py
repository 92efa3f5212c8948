"""Measurements of Herald in the lab, `python -m benchmarks NAME`. See README.md in this folder."""
