"""How soon another node serves when one fails, whether two ever do, what a planned change costs, how fast ARP is
answered, and what membership costs: `measure`.

Nothing is imported here, for the small processes of the benchmark, which are modules of this package, must start fast.
"""
