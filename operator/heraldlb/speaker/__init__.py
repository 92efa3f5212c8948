"""The speaker: answers ARP and neighbour solicitations for the addresses this node owns, and agrees with its
peers who owns what.

How a frame becomes an answer, and a dead peer a new owner:

* `loop` is one thread that waits on packet sockets, the membership sockets, netlink and timers.
* `courier` carries authenticated heartbeats (`messages`); `polling` looks for the hardware addresses of peers that
  fell silent. `agreement` decides with them: `membership` says who lives (in a large cluster by `ring` and
  `topology`), `losses` who did, `standing` and `damping` whether this node may own anything, `interfaces` where;
  `election` gives every address one owner, sharing them out by `rendezvous`; `handover` passes it on without a gap,
  by `claims`; `sharing` says with whom it shares the clients of an address; `ownership` turns that into changes.
* `responder` maps a received frame to an answer or a foreign claim, over the codecs `ethernet`, `arp`, `ndp`;
  `clients` knows who asked for a shared address, and whom to tell that it has moved;
  `probing` says when an address may be announced for the first time; `pacing` and `defence`, when announcements go
  out.

Only `speaker`, `loop`, `courier`, `polling`, `port`, `sockets` and `links` do I/O. All else is a function of its
inputs, time included.
"""

from heraldlb.speaker.changes import (
    AddressChange,
    Announcing,
    Change,
    ClientsShared,
    Conflict,
    ConflictOver,
    NotEligible,
    NotEligibleOver,
    OwnersChanged,
    PeersChanged,
    Withdrawn,
)
from heraldlb.speaker.desired import NOTHING_DESIRED, Announceable, Desired, Peer
from heraldlb.speaker.election import Ineligible
from heraldlb.speaker.losses import Outlook
from heraldlb.speaker.settings import SpeakerSettings
from heraldlb.speaker.speaker import Speaker
from heraldlb.speaker.stats import SpeakerStats

__all__ = [
    "NOTHING_DESIRED",
    "AddressChange",
    "Announceable",
    "Announcing",
    "Change",
    "ClientsShared",
    "Conflict",
    "ConflictOver",
    "Desired",
    "Ineligible",
    "NotEligible",
    "NotEligibleOver",
    "Outlook",
    "OwnersChanged",
    "Peer",
    "PeersChanged",
    "Speaker",
    "SpeakerSettings",
    "SpeakerStats",
    "Withdrawn",
]
