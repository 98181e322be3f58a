"""The one place where ZeroMQ sockets are made: every option is set, none is libzmq's default.

=====================  =======================  ==================================================
option                 value                    why
=====================  =======================  ==================================================
LINGER                 `linger_ms`, 0           a process that ends is not held up by a dead peer
SNDHWM, RCVHWM         `*_queue_max`, 1000      bounded memory; messages, per peer
MAXMSGSIZE             `message_bytes_max`      a peer can't make us reserve what it only announces
SNDTIMEO               0                        a full pipe is told, never waited for
HANDSHAKE_IVL          2,000 ms                 half-open connections are reaped
HEARTBEAT_*            1,000/3,000 ms, tcp      a silent peer is noticed, and notices us
RECONNECT_IVL, _MAX    50 to 1,000 ms           doubling
IMMEDIATE              `immediate`              True: nothing is queued for a peer that is not there
ROUTER_MANDATORY       1, ROUTER                a reply that can't be delivered is an error
ROUTER_HANDOVER        0, ROUTER                a second peer can't take over another's name
IPV6                   0                        addresses mean what they say
ZAP_DOMAIN             `curve.domain`, servers  which keys may come in here
ZAP_ENFORCE_DOMAIN     1, servers               without it a missing ZAP handler admits everybody
=====================  =======================  ==================================================

A unix socket is bound in a folder of mode 0700 that is ours, as a file of mode 0600, while a lock
on `<file>.lock` is held: libzmq lets a second process take over a path without a word. We bind the
file and give libzmq the descriptor, so that it never removes a file that another process has
bound since. TCP goes with CURVE or not at all, on the loopback address too: any user can connect
to that one.
"""

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import zmq

from mmats.model.errors import MmatsError

PATH_BYTES_MAX = 107  # of sockaddr_un
_HANDSHAKE_MS = 2_000
_HEARTBEAT_MS = 1_000
_HEARTBEAT_TIMEOUT_MS = 3_000
_RECONNECT_MS = 50
_RECONNECT_MS_MAX = 1_000
_BACKLOG = 128

_POLLIN, _EVENTS = int(zmq.POLLIN), int(zmq.EVENTS)

ReceivedT = TypeVar("ReceivedT")
SocketT = TypeVar("SocketT", bound="zmq.Socket[Any]")


class BusError(MmatsError):
    """A socket can't be opened as it is asked for, or another process holds it."""


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """What differs between sockets; queues count messages, per peer."""

    send_queue_max: int = 1_000
    receive_queue_max: int = 1_000
    message_bytes_max: int = 65_536
    linger_ms: int = 0
    immediate: bool = False

    def __post_init__(self) -> None:
        if min(self.send_queue_max, self.receive_queue_max, self.message_bytes_max) < 1:
            raise BusError("queues and messages have a limit, of at least 1")
        if self.linger_ms < 0:
            raise BusError("a socket that lingers for ever keeps its process from ending")


@dataclass(frozen=True, slots=True)
class CurveServer:
    """Keys of a server, Z85; a ZAP handler decides for the domain who comes in."""

    secret_key: bytes = field(repr=False)
    domain: str


@dataclass(frozen=True, slots=True)
class CurveClient:
    """Keys of a client and of the server that it expects, Z85."""

    server_key: bytes
    public_key: bytes
    secret_key: bytes = field(repr=False)


class PathLock:
    """A lock that one process holds; the kernel releases it when the process dies.

    Its file stays: to remove it would let two processes lock two files of one name.
    """

    def __init__(self, path: Path, what: str) -> None:
        """BusError names the process that holds `what`."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise BusError(f"no lock can be made: {error.strerror}", str(path)) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 64, 0).decode(errors="replace").strip() or "unknown"
            self.release()
            raise BusError(f"process {holder} holds it", what, "end that process first") from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let another process have it; twice is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class BoundSocket(Generic[SocketT]):
    """A server's socket and the lock on its path.

    Attributes
    ----------
    socket : zmq.Socket
    endpoint : str
        As bound: of tcp with its port.
    """

    def __init__(
        self, bound: SocketT, endpoint: str, path: Path | None, lock: PathLock | None
    ) -> None:
        self.socket = bound
        self.endpoint = endpoint
        self._path = path
        self._lock = lock

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket, remove its file, release the lock, in this order; twice is fine."""
        self.socket.close(linger=linger_ms)
        _give_up(self._path, self._lock)
        self._path = self._lock = None


def open_bound(
    context: "zmq.Context[SocketT]",
    kind: int,
    endpoint: str,
    options: SocketOptions | None = None,
    curve: CurveServer | None = None,
) -> BoundSocket[SocketT]:
    """Open a server's socket of a kind (zmq.ROUTER, ...) on `ipc://`, `tcp://` or `inproc://`.

    Raises
    ------
    BusError
        The endpoint is not safe, another process holds it, or it can't be bound.
    """
    path = _checked_path(endpoint, curve is not None)
    made = _made(context, kind, endpoint, options or SocketOptions())
    lock: PathLock | None = None
    try:
        if curve is not None:
            made.setsockopt(zmq.CURVE_SERVER, 1)
            made.setsockopt(zmq.CURVE_SECRETKEY, curve.secret_key)
            made.setsockopt(zmq.ZAP_DOMAIN, curve.domain.encode())
            made.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        if path is not None:
            lock = PathLock(Path(f"{path}.lock"), str(path))
            made.setsockopt(zmq.USE_FD, _listening(path))
        made.bind(endpoint)
        last = made.getsockopt(zmq.LAST_ENDPOINT)
    except (zmq.ZMQError, OSError) as error:
        made.close(linger=0)
        _give_up(path, lock)
        raise BusError(f"can't be bound: {error}", endpoint) from error
    except BusError:
        made.close(linger=0)
        _give_up(path, lock)
        raise
    # libzmq makes up a name of its own for a descriptor that it was given.
    name = endpoint if path is not None else bytes(last).rstrip(b"\0").decode()
    return BoundSocket(made, name, path, lock)


def open_connected(
    context: "zmq.Context[SocketT]",
    kind: int,
    endpoint: str,
    options: SocketOptions | None = None,
    curve: CurveClient | None = None,
) -> SocketT:
    """Open a client's socket; the server need not be there yet.

    Raises
    ------
    BusError
        The endpoint is not safe, or it can't be connected to.
    """
    _checked_path(endpoint, curve is not None)
    made = _made(context, kind, endpoint, options or SocketOptions())
    try:
        if curve is not None:
            made.setsockopt(zmq.CURVE_SERVERKEY, curve.server_key)
            made.setsockopt(zmq.CURVE_PUBLICKEY, curve.public_key)
            made.setsockopt(zmq.CURVE_SECRETKEY, curve.secret_key)
        made.connect(endpoint)
    except (zmq.ZMQError, OSError) as error:
        made.close(linger=0)
        raise BusError(f"can't be connected to: {error}", endpoint) from error
    return made


def received(
    socket: "zmq.Socket[Any]", receive: Callable[[int], ReceivedT], count_max: int
) -> Iterator[ReceivedT]:
    """Yield what has come, at most so many messages; never waits.

    `receive` is the socket's `recv` or `recv_multipart`.
    """
    for count in range(count_max):
        # To be refused costs as much as some messages: we look first where there may be one only.
        if count == 1 and not int(socket.getsockopt(_EVENTS)) & _POLLIN:
            return
        try:
            data = receive(zmq.NOBLOCK)
        except zmq.Again:
            return
        yield data


def _made(
    context: "zmq.Context[SocketT]", kind: int, endpoint: str, options: SocketOptions
) -> SocketT:
    made = context.socket(kind)
    for option, value in _values(kind, endpoint, options).items():
        made.setsockopt(option, value)
    return made


def _values(kind: int, endpoint: str, options: SocketOptions) -> dict[int, int]:
    is_tcp = endpoint.startswith("tcp://")
    values: dict[int, int] = {
        zmq.LINGER: options.linger_ms,
        zmq.SNDHWM: options.send_queue_max,
        zmq.RCVHWM: options.receive_queue_max,
        zmq.MAXMSGSIZE: options.message_bytes_max,
        zmq.SNDTIMEO: 0,
        zmq.HANDSHAKE_IVL: _HANDSHAKE_MS,
        zmq.HEARTBEAT_IVL: _HEARTBEAT_MS if is_tcp else 0,
        zmq.HEARTBEAT_TIMEOUT: _HEARTBEAT_TIMEOUT_MS if is_tcp else 0,
        zmq.HEARTBEAT_TTL: _HEARTBEAT_TIMEOUT_MS if is_tcp else 0,
        zmq.RECONNECT_IVL: _RECONNECT_MS,
        zmq.RECONNECT_IVL_MAX: _RECONNECT_MS_MAX,
        zmq.IMMEDIATE: int(options.immediate),
        zmq.IPV6: 0,
    }
    if kind == zmq.ROUTER:
        values |= {zmq.ROUTER_MANDATORY: 1, zmq.ROUTER_HANDOVER: 0}
    return values


def _checked_path(endpoint: str, has_curve: bool) -> Path | None:
    """Return the file of an ipc endpoint, None of others; BusError where it is not safe."""
    scheme, separator, address = endpoint.partition("://")
    if not separator or not address:
        raise BusError("is no endpoint", endpoint, "ipc:///path, tcp://address:port")
    if scheme == "inproc":
        return None
    if scheme == "tcp":
        if not has_curve:
            raise BusError("tcp goes with CURVE keys only", endpoint, "local programs use ipc")
        return None
    if scheme != "ipc":
        raise BusError(f"{scheme} is not used here", endpoint, "ipc or tcp")
    if not address.startswith("/"):
        raise BusError("abstract and relative names are open to every user", endpoint)
    path = Path(address)
    if len(os.fsencode(address)) > PATH_BYTES_MAX:
        raise BusError(f"a socket's path has at most {PATH_BYTES_MAX} bytes", str(path))
    try:
        folder = path.parent.stat()
    except OSError as error:
        raise BusError(f"no folder for a socket: {error.strerror}", str(path.parent)) from error
    if folder.st_uid != os.geteuid() or stat.S_IMODE(folder.st_mode) & 0o077:
        raise BusError(
            "other users can reach sockets in this folder", str(path.parent), "chmod 700"
        )
    return path


def _listening(path: Path) -> int:
    """Bind and listen on a file of mode 0600; the caller holds its lock and owns the result."""
    if not _remove(path):
        raise BusError("is in the way of a socket", str(path), "move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        # On Linux the file takes the mode of the descriptor: there is no moment with a wider one.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        return listener.detach()


def _remove(path: Path) -> bool:
    """Remove a socket's file; False where it is something else."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
        path.unlink()
    return True


def _give_up(path: Path | None, lock: PathLock | None) -> None:
    """Remove the file, then release the lock: nobody else can have bound it in between."""
    if path is not None and lock is not None:
        _remove(path)
        lock.release()
