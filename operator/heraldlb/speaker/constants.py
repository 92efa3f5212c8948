"""Every timer and every cap of the speaker: its unit, where it comes from, and the harm it bounds."""

from __future__ import annotations

from typing import Final

# Membership.

MEMBERSHIP_PORT: Final = 7947
"""UDP port of heartbeats. Beside MetalLB's 7946, so that both can run during a migration."""

HEARTBEAT_INTERVAL: Final = 0.04
"""Seconds between two heartbeats to a peer."""

FAILURE_TIMEOUT: Final = 0.24
"""Seconds without a fresh heartbeat after which a peer is dead: six lost in a row. Also the age at which a
message is stale, which bounds how long a recorded message is of use to somebody who replays it."""

GRACE_INTERVALS: Final = 3
"""Heartbeat intervals a starting node listens, beyond one failure timeout, before it owns anything. Two are what a
two-way exchange takes; the third is for a lost one."""

WITNESS_MAX_AGE: Final = 5.0
"""Seconds for which a proof that the outside is reachable lets a node that hears no peer go on announcing."""

LEAVE_LINGER: Final = 0.1
"""Seconds a leaving node goes on answering after it said goodbye, while the new owners announce."""

LEAVE_COPIES: Final = 3
"""Times the goodbye is sent: a lost datagram must not cost a failure timeout."""

MAX_MESSAGE_SIZE: Final = 16_384
"""Octets of a membership message. Larger ones are dropped unread."""

MAX_HEARD: Final = 1_024
"""Peers listed in one message. Bounds the memory that a peer gone mad can make us hold."""

MAX_INTERFACES: Final = 32
"""Interfaces offered in one message; as MAX_HEARD."""

MAX_PREFIXES: Final = 32
"""Prefixes of one offered interface; as MAX_HEARD."""

MAX_NAME: Final = 253
"""Octets of a node name (a DNS subdomain, RFC 1123)."""

# Announcing.

ANNOUNCE_AFTER: Final = (0.0, 0.1, 0.3, 1.0, 2.0, 4.0)
"""Seconds after an address was taken at which it is announced. The first reaches almost everybody; the rest are
for hosts and switches that were not listening yet. RFC 5227 section 2.3 asks for two, RFC 4861 section 7.2.6
allows three at its pace; more, over a longer time, is what makes a take-over survive a port that blocks while
spanning tree settles."""

ANNOUNCEMENTS_PER_TURN: Final = 64
"""Addresses announced before the loop looks at its sockets again. A node that takes a thousand addresses must
still send its heartbeats in time."""

FRAMES_PER_TURN: Final = 64
"""Frames handled from one socket before the loop looks at the others. A host that floods the LAN with requests
takes processor time from us, but no heartbeat and no timer waits longer than these take."""

MESSAGES_PER_TURN: Final = 256
"""Membership datagrams handled before the loop goes on; as FRAMES_PER_TURN, for a flood at the membership port."""

MULTICAST_ANSWERS_PER_SECOND: Final = 50
"""Answers to duplicate-address probes go to all nodes (RFC 4861 section 7.2.4): a forged flood of probes must
not make us flood every host of the LAN."""

REMEMBERED_FRAMES: Final = 1_024
"""Frames of either family whose replies an interface remembers, the least recent forgotten first. Bounds the memory
that a host sending ever new frames can fill."""

PACKET_BUFFER: Final = 1_048_576
"""Octets of a packet socket's receive buffer: about 1,300 small frames as the kernel accounts them."""

GROUPS_PER_SOCKET: Final = 64
"""Multicast groups joined through one socket; the kernel charges each to the socket's option memory
(net.core.optmem_max), which holds some hundred."""

# Probing.

PROBE_AFTER: Final = (0.0, 0.03, 0.06)
"""Seconds after an address was taken for the first time in its life at which the LAN is asked whether a host has it
already. RFC 5227 section 1.1 asks three times, too (PROBE_NUM), but one to two seconds apart and after a random
wait, which keeps a building full of hosts that were switched on together from asking at once; RFC 4862 section 5.1
asks once and waits a second. Here one node asks for one address while a user waits for it. A host answers in about
a millisecond, so this is room for two lost frames. Whoever answers later is found out while the address is
announced, as with Optimistic Duplicate Address Detection (RFC 4429)."""

PROBE_WAIT: Final = 0.04
"""Seconds without a claim after the last probe after which the address is free."""

PROBES_PER_TURN: Final = 64
"""Addresses probed before the loop looks at its sockets again; as ANNOUNCEMENTS_PER_TURN."""

REPROBE_INTERVAL: Final = 10.0
"""Seconds after which the LAN is probed anew for an address that another host has: about what its user waits once
the host is gone. Bounds what contested addresses cost everybody to three small frames each in that time."""

CLAIM_DOUBT: Final = 0.3
"""Seconds for which whoever claims an address may still turn out to be one of our agents that was not heard before,
as after a partition heals; only then it is reported as a stranger. A tenth of a second is what it takes agents to
hear each other; a stranger is to be reported within one."""

# Defending.

DEFEND_INTERVAL: Final = 10.0
"""Seconds between two defences of one address against strangers (DEFEND_INTERVAL, RFC 5227 section 1.1). Two
hosts that both defend would otherwise answer each other for ever."""

RIVAL_INTERVAL: Final = 0.5
"""Seconds between two re-announcements of one address because another agent still claims it. A host that forges
an agent's hardware address gets no more than this out of us."""

CONFLICT_QUIET: Final = 30.0
"""Seconds without a foreign claim after which a conflict is over: three defence intervals."""
