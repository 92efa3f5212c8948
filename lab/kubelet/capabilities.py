"""Linux capabilities and identity of a container's process. See capabilities(7)."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38

NAMES: Final = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
"""By number, from 0."""

DEFAULT: Final = frozenset(
    {
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    }
)
"""What container runtimes grant when nothing is said."""

_libc = ctypes.CDLL(None, use_errno=True)


def granted(added: Iterable[str], dropped: Iterable[str]) -> frozenset[str]:
    """The set that `add` and `drop` of a security context leave. Raises ValueError for an unknown name."""
    added, dropped = set(added), set(dropped)
    if unknown := (added | dropped) - {*NAMES, "ALL"}:
        raise ValueError(f"capabilities: {', '.join(sorted(unknown))} unknown (write them without CAP_)")
    base = frozenset(NAMES) if "ALL" in added else DEFAULT
    left = frozenset() if "ALL" in dropped else base - dropped
    return left | (added - {"ALL"})


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def limit(allowed: Iterable[str]) -> None:
    """From the next exec on, root has these capabilities and no others, for good."""
    keep = set(allowed)
    for number, name in enumerate(NAMES):
        if name not in keep:
            with suppress(OSError):  # a kernel that does not have this one yet
                _prctl(_PR_CAPBSET_DROP, number)


def become(user: int, group: int, groups: Iterable[int]) -> None:
    """Take this identity. A user other than 0 loses every capability, as in a container."""
    os.setgroups(sorted(set(groups)))
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


def forbid_new_privileges() -> None:
    """No set-user-ID program gives more than what is left now (`allowPrivilegeEscalation: false`)."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
