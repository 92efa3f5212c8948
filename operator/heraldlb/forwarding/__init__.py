"""The forwarder: Services and their endpoints become nftables rules on every node.

`plan` decides (pure), `ruleset` renders a plan or the difference of two as nft text (pure), `forwarder` has it
applied by `nft`. Every node computes its rules from the cluster alone, never from which node announces an address,
so whichever node comes to own an address can forward for it at once. Where one does, `detour` hands the packets of
connections that only its former owner knows to that one.
"""
