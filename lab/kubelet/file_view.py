"""The file system as a container sees it: the machine's own, with /run, /tmp and /dev/shm fresh, and its volumes.

Works in a mount namespace that the calling process has for itself.
"""

from __future__ import annotations

import ctypes
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from lab.namespaces import (
    CLONE_NEWNS,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    mount,
    unshare,
)

_FRESH = (("/run", "mode=0755"), ("/tmp", "mode=1777"), ("/dev/shm", "mode=1777"))  # noqa: S108 - made by us
_BELOW = ".below"

_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder of the machine, and where the container sees it."""

    source: str
    target: str
    read_only: bool


@dataclass(slots=True)
class FileView:
    """Builds the view. Everything that is to stay visible is held open before anything is covered."""

    user: int
    needed: list[str]
    """Paths the container's program lives in, that must stay reachable whatever is covered."""
    _held: dict[str, int] = field(default_factory=dict)
    _own: set[Path] = field(default_factory=set)

    def build(self, volumes: list[Volume], *, read_only_root: bool, privileged: bool) -> None:
        """Raises OSError, or ValueError for a mount path that cannot be had."""
        unshare(CLONE_NEWNS)
        mount("", "/", flags=MS_PRIVATE | MS_REC)
        for path in (*self.needed, *(volume.source for volume in volumes)):
            self._held[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)
        for path, options in _FRESH:
            self._cover(Path(path), options)
        self._open_ways()
        for path in self.needed:
            self._restore(path)
        targets = [self._target(volume.target) for volume in volumes]
        self._system(privileged=privileged)
        if read_only_root:
            _set_read_only("/", _AT_RECURSIVE)
            _clear_read_only("/proc")
            _clear_read_only("/dev/shm")  # noqa: S108 - the container's own
        for volume, target in zip(volumes, targets, strict=True):
            self._mount(volume, target, read_only_root=read_only_root)
        for descriptor in self._held.values():
            os.close(descriptor)

    def _mount(self, volume: Volume, target: Path, *, read_only_root: bool) -> None:
        """Mount a volume, and put back the needed paths that it covers, as one at /tmp where we live below /tmp."""
        mount(self._descriptor(volume.source), str(target), flags=MS_BIND)
        _clear_read_only(str(target))
        for path in self.needed:
            if Path(path).is_relative_to(target):
                Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
                mount(self._descriptor(path), path, flags=MS_BIND | MS_REC)
                if read_only_root:
                    _set_read_only(path, _AT_RECURSIVE)
        if volume.read_only:
            _set_read_only(str(target))

    def _descriptor(self, path: str) -> str:
        return f"/proc/self/fd/{self._held[path]}"

    def _cover(self, path: Path, options: str) -> None:
        mount("tmpfs", str(path), "tmpfs", MS_NOSUID | MS_NODEV, options)
        self._own.add(path)

    def _is_own(self, path: Path) -> bool:
        return any(path.is_relative_to(own) for own in self._own)

    def _open_ways(self) -> None:
        """Cover every folder above a needed path that the container's user may not pass, as a home of mode 0700."""
        for needed in self.needed:
            for folder in reversed(Path(needed).parents):
                if self._is_own(folder):
                    break
                status = folder.stat()
                passable = stat.S_IXUSR if status.st_uid == self.user else stat.S_IXOTH
                if not status.st_mode & passable:
                    self._cover(folder, "mode=0755")
                    break

    def _restore(self, path: str) -> None:
        """Put a needed path back where it was covered."""
        if self._is_own(Path(path)):
            Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
            mount(self._descriptor(path), path, flags=MS_BIND | MS_REC)

    def _target(self, path: str) -> Path:
        """Have a folder at a mount path."""
        target = Path(os.path.realpath(path))
        existing = next(folder for folder in (target, *target.parents) if folder.is_dir())
        if existing != target:
            if existing == Path("/"):
                raise ValueError(
                    f"mountPath {path}: the lab cannot make a folder in /; use one below /run, /tmp or /etc"
                )
            if not self._is_own(existing):
                self._extend(existing)
            target.mkdir(mode=0o755, parents=True)
        return target

    def _extend(self, folder: Path) -> None:
        """Make room for new entries in a folder of the machine: cover it, and link to what was there."""
        entries = sorted(os.listdir(folder))  # noqa: PTH208
        below = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        self._cover(folder, "mode=0755")
        (folder / _BELOW).mkdir(mode=0o755)
        # Not recursively: the cover is a mount below the folder, too.
        mount(f"/proc/self/fd/{below}", str(folder / _BELOW), flags=MS_BIND)
        os.close(below)
        for entry in entries:
            (folder / entry).symlink_to(f"{_BELOW}/{entry}")

    def _system(self, *, privileged: bool) -> None:
        """/proc of the PID namespace and /sys of the network's; kernel parameters read-only, unless privileged."""
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        mount("proc", "/proc", "proc", flags)
        mount("sysfs", "/sys", "sysfs", flags)
        if not privileged:
            mount("/proc/sys", "/proc/sys", flags=MS_BIND | MS_REC)
            _set_read_only("/proc/sys")
            _set_read_only("/sys")


def _mount_setattr(path: str, flags: int, *, add: int, clear: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(add, clear, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    if _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, ctypes.byref(attributes), size) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount_setattr {path}: {os.strerror(number)}")


def _set_read_only(path: str, flags: int = 0) -> None:
    _mount_setattr(path, flags, add=_MOUNT_ATTR_RDONLY, clear=0)


def _clear_read_only(path: str) -> None:
    _mount_setattr(path, 0, add=0, clear=_MOUNT_ATTR_RDONLY)
