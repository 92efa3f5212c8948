"""How soon another node serves when one fails, whether two ever do, what a planned change costs, how fast ARP is
answered, and what membership costs: `measure`.

Nothing is imported here: the benchmark's small processes are modules of this package and must start fast.
"""
