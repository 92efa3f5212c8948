"""The settings of a speaker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heraldlb.speaker import constants

MIN_KEY = 16


@dataclass(frozen=True, slots=True)
class SpeakerSettings:
    """Fixed for the life of a speaker. Raises ValueError that names the setting and what to write instead."""

    node_name: str
    """This node's name, as its Node object has it."""
    key: bytes | Callable[[], tuple[bytes, ...]]
    """The secret that all agents of the cluster share, at least 16 octets; or a function, called for every
    message and so quick, that gives the key to sign with first, then others that are still accepted while it is
    being changed."""
    membership_port: int = constants.MEMBERSHIP_PORT
    """UDP port, the same on every node."""
    heartbeat_interval: float = constants.HEARTBEAT_INTERVAL
    """Seconds."""
    failure_timeout: float = constants.FAILURE_TIMEOUT
    """Seconds without a heartbeat after which a peer is dead; at least three intervals; the same on every node."""
    leave_linger: float = constants.LEAVE_LINGER
    """Seconds for which a leaving node goes on answering, at the most, for what others do not take over."""
    probation: float = constants.PROBATION
    """Seconds for which a node that joins leaves addresses with established nodes."""
    witness: Callable[[], float | None] | None = None
    """Age in seconds of the last proof that the outside reaches this node (the API server answered), None for
    no proof. Called by the speaker's thread, so it must not block."""

    def __post_init__(self) -> None:
        if not self.node_name or len(self.node_name.encode()) > constants.MAX_NAME:
            raise ValueError(f"node_name: must have 1 to {constants.MAX_NAME} octets: write the Node object's name")
        if isinstance(self.key, bytes) and len(self.key) < MIN_KEY:
            raise ValueError(
                f"key: has {len(self.key)} octets, needs {MIN_KEY}: write a random one (openssl rand 32)"
            )
        if not 0 < self.membership_port < 65_536:
            raise ValueError(f"membership_port: {self.membership_port} is no UDP port: write 1 to 65535")
        if not 0 < self.heartbeat_interval * 3 <= self.failure_timeout:
            raise ValueError(
                f"failure_timeout: {self.failure_timeout} s must be at least three heartbeat intervals"
                f" of {self.heartbeat_interval} s: raise it, or lower heartbeat_interval"
            )

    @property
    def grace(self) -> float:
        """Seconds a joining node listens before it serves without having heard all its peers."""
        return self.failure_timeout + constants.GRACE_INTERVALS * self.heartbeat_interval

    @property
    def fence_after(self) -> float:
        """Seconds since its own last heartbeat after which a node assumes that its peers have given it up."""
        return self.failure_timeout - self.heartbeat_interval

    def keys(self) -> tuple[bytes, ...]:
        """The key to sign with, then all others that are accepted."""
        return (self.key,) if isinstance(self.key, bytes) else self.key()
