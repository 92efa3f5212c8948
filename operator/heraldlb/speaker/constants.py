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

FULL_MESH_NODES: Final = 8
"""Nodes up to which everybody hears everybody: 350 datagrams a second sent and received at each of eight. Beyond,
nodes hear their neighbours on a ring, 67 a second however many there are."""

RING_STRETCH: Final = 1.75
"""Heartbeat intervals between two heartbeats on the ring. Three lost in a row make a neighbour unheard there, not
six, but who misses one asks for it, and nobody is dead whom the neighbour on its other side still hears. Saves two
fifths of the cost. Were it two, the second of two that are lost could be one too many."""

KEEPING_TIME: Final = (0.75, 1.125)
"""Intervals of the ring since a node's last round after which it begins another with the heartbeat of the node
before it, and after which it does so by itself. So what it receives and what it sends come together, and it wakes
up once an interval, not three times: waking up costs more than all that it then does. Bounds how much earlier or
later than every interval a heartbeat comes."""

PATIENT_INTERVALS: Final = 1.5
"""Intervals of the ring without a word from a neighbour after which a node seeks the next one, so that it has found
it by the time the neighbour is given up. A lost datagram costs two in vain."""

SEEK_FACTOR: Final = 4
"""Growth, from round to round, of the number of nodes asked on one side of the ring while none of them answers.
Two rounds pass until the failure timeout, so eight dead in a row are bridged by then; more take a few rounds
longer."""

SEEK_DEAD: Final = 4
"""Nodes thought dead that a node hearing nobody asks in each round, on each side; one that hears somebody asks one.
Bounds what a node that is cut off sends, most of it in vain."""

TURNOVER: Final = 1.0
"""Seconds a neighbour is heard on after a nearer one was found, so that while many come and go at once the ring
does not fall apart; four failure timeouts."""

NEWS_ROUNDS: Final = 2
"""Rounds in which a change of a node's own state goes to everybody directly; of a hundred nodes, one in ten
datagrams lost, one misses both. It learns it from its neighbours, an interval or two later."""

MAX_REPORTED: Final = 8
"""Third nodes told of in one message. Keeps it within an Ethernet frame."""

WITNESS_MAX_AGE: Final = 5.0
"""Seconds for which a proof that the outside is reachable lets a node that hears no peer go on announcing."""

LEAVE_LINGER: Final = 2.0
"""Seconds a leaving node goes on answering at the most, for addresses that nobody claims. Bounds how long an
agent's end takes; claims come within milliseconds."""

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

PROBATION: Final = 10.0
"""Seconds for which a node that joins an established cluster leaves addresses where they are: until it is clear
that it stays. Also the seconds of serving after which a node is established."""

PROBATION_MAX: Final = 300.0
"""Seconds of probation at the most, however often the node failed."""

DAMPING_MEMORY: Final = 600.0
"""Seconds for which a failure of this node doubles its next probation (an idea of route flap damping, RFC 2439).
Bounds how often a node that comes and goes can move addresses."""

# Ownership.

LOAD_BOUND: Final = (6, 5)
"""The part of the mean, as a fraction, that no node's addresses exceed by more than rounding among nodes that could
announce the same. Tighter would move more addresses between healthy nodes when one dies."""

HANDOVER_LIMIT: Final = 10.0
"""Seconds for which a node that may no longer announce an address goes on answering for it when the node that
should take over does not claim it. So long the objects of one may be behind those of the other."""

UNHEARD_HANDOVER_LIMIT: Final = 0.3
"""Seconds for which a node goes on answering for an address that should be a node's which it does not hear: that
one's claim cannot arrive. Bounds how long two answer that hear of each other through a third only."""

CEDE_INTERVAL: Final = 1.0
"""Seconds between two reminders to the node that should take an address over, whose claim may have been lost."""

CLAIM_COPIES_AFTER: Final = (0.0, 0.02, 0.06)
"""Seconds after which copies of a claim go out. With one datagram in ten lost, one claim in a thousand is, and the
exchange that follows an unheard one makes up for it."""

CLAIMS_PER_MESSAGE: Final = 56
"""Addresses claimed or ceded in one datagram, so that it fits an Ethernet frame in a cluster of some dozen
nodes."""

MAX_CLAIMS: Final = 512
"""Addresses claimed or ceded in one message that is read; as MAX_HEARD."""

MAX_TERM: Final = 0xFFFF_FFFF
"""The highest term; it is not outbid. Nobody gets there who keeps to RECLAIM_AFTER."""

RECLAIM_AFTER: Final = 1.0
"""Seconds for which a node that yielded to a claim does not claim the address itself, though it thinks it its own;
doubled each time. Bounds how often an address moves while two nodes know different objects."""

RECLAIM_MAX: Final = 30.0
"""Seconds between two such claims at the most. Twice as long without one, and the next wait is short again."""

SETTLED_AFTER: Final = 1.0
"""Seconds after which an announcement of an address is old enough that it is repeated when it turns out that
another node answered, too."""

# Sharing the clients of an address.

SHARE_LINGER: Final = 0.06
"""Seconds for which a node that shares an address no more goes on answering its former clients: until the last copy
of that news is out (CLAIM_COPIES_AFTER). Longer, two would answer one client for longer than a message takes."""

SHARES_REFRESH: Final = 1.0
"""Seconds after which the next peer is told anew which addresses this node shares. Bounds how long a peer goes by
what it missed: as many seconds as there are peers."""

MAX_CLIENTS_PER_ADDRESS: Final = 4_096
"""Clients of one shared address that a node remembers, the least recently seen forgotten first: the neighbours of a
large LAN. One that is forgotten asks by itself when its node is gone. Bounds the memory that a host which forges
requests can fill, and the frames that a change of the sharers costs."""

MAX_CLIENTS: Final = 16_384
"""Clients remembered of all shared addresses together; as MAX_CLIENTS_PER_ADDRESS."""

CLIENTS_PER_MESSAGE: Final = 28
"""Clients that one message tells another sharer of, so that it fits an Ethernet frame with those of IPv6, too."""

CLIENTS_INTERVAL: Final = 0.002
"""Seconds between two such messages to one peer: 4,096 clients take a third of a second, and no socket's buffer
overflows with them and loses heartbeats."""

MAX_TOLD_CLIENTS: Final = 512
"""Clients in one message that is read; as MAX_HEARD."""

UPDATE_AFTER: Final = (0.0, 0.1, 1.0)
"""Seconds after a change of the sharers at which a client that moved is told which node it belongs to: three times,
as RFC 4861 section 7.2.6 has it (MAX_NEIGHBOR_ADVERTISEMENT). Refreshed as announcements are (REFRESH_INTERVAL)."""

UPDATES_PER_TURN: Final = 64
"""Clients told before the loop looks at its sockets again; as ANNOUNCEMENTS_PER_TURN."""

# Announcing.

ANNOUNCE_AFTER: Final = (0.0, 0.1, 0.3, 1.0, 2.0, 4.0, 15.0, 40.0)
"""Seconds after an address was taken at which it is announced. The first reaches almost everybody; the rest are for
hosts and switches that were not listening yet, the last two for those behind a port that spanning tree opens late
(twice its forward delay of 15 seconds). RFC 5227 section 2.3 asks for two, RFC 4861 section 7.2.6 allows three at
its pace."""

REFRESH_INTERVAL: Final = 60.0
"""Seconds after which an owned address is announced again, and again, for as long as it is owned. A router that
missed the take-over keeps the former node's hardware address for as long as it keeps anything: four hours by a
common default. What it sends goes to that node, so nothing tells the new one to correct it."""

REFRESH_SPACING: Final = 1.0
"""Seconds between the refreshes of two addresses, so that the LAN has one announcement a second of a node, however
many addresses that announces: each of a thousand comes once in 17 minutes."""

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

FILTER_RANGES: Final = 128
"""Ranges of addresses in a socket's filter; frames for what lies between two that had to be joined are sorted out
later. Addresses of a pool lie side by side. The kernel takes 4,096 instructions, of which a range needs twelve."""

GROUPS_PER_SOCKET: Final = 64
"""Multicast groups joined through one socket; the kernel charges each to the socket's option memory
(net.core.optmem_max), which holds some hundred."""

# Probing.

PROBE_AFTER: Final = (0.0, 0.03, 0.06)
"""Seconds after an address was taken for the first time in its life at which the LAN is asked whether a host has it
already. RFC 5227 section 1.1 asks three times, too (PROBE_NUM), but one to two seconds apart and after a random
wait, which keeps a building full of hosts that were switched on together from asking at once; RFC 4862 section 5.1
asks once and waits a second. Here one node asks for one address while a user waits for it. A host answers in about
a millisecond, so this is room for two lost frames."""

PROBE_WAIT: Final = 0.04
"""Seconds without a claim after the last of these after which the address is free."""

LATE_PROBES_AFTER: Final = (1.0, 3.0)
"""Seconds after that at which the LAN is asked again, at the RFCs' pace, for a host that was asleep: the address is
in use meanwhile, as in Optimistic Duplicate Address Detection (RFC 4429). Never again after that: RFC 5227 section
2.1 forbids to ask periodically."""

PROBES_PER_TURN: Final = 64
"""Addresses probed before the loop looks at its sockets again; as ANNOUNCEMENTS_PER_TURN."""

REPROBE_INTERVAL: Final = 10.0
"""Seconds after which the LAN is probed anew for an address that another host has: about what its user waits once
the host is gone."""

MAX_CONFLICTS: Final = 10
"""Rounds of probing that end so before the next ones come at RATE_LIMIT_INTERVAL (both: RFC 5227 section 1.1)."""

RATE_LIMIT_INTERVAL: Final = 60.0
"""Seconds. Bounds what contested addresses cost everybody to three small frames each in that time."""

CLAIM_DOUBT: Final = 0.8
"""Seconds for which whoever claims an address may still turn out to be one of our agents that was not heard before;
only then it is reported as a stranger, which is to be within a second. When a partition heals, agents hear each
other as soon as their kernels resolve each other's node address, and those ask once a second
(net.ipv4.neigh.default.retrans_time_ms)."""

# Defending.

DEFEND_INTERVAL: Final = 10.0
"""Seconds between two defences of one address against strangers (DEFEND_INTERVAL, RFC 5227 section 1.1). Two
hosts that both defend would otherwise answer each other for ever."""

RIVAL_INTERVAL: Final = 0.5
"""Seconds between two re-announcements of one address because another agent still claims it. A host that forges
an agent's hardware address gets no more than this out of us."""

CONFLICT_QUIET: Final = 30.0
"""Seconds without a foreign claim after which a conflict is over: three defence intervals."""
