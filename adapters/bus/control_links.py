"""The sockets of the control plane on an event loop: ROUTERs for commands, PUBs for the state."""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

import zmq

from adapters.bus.control_sessions import Peer
from adapters.bus.control_zap import CONTROL, ZapHandler
from adapters.bus.sockets import BoundSocket, BusError, CurveServer, SocketOptions, open_bound
from adapters.bus.users import UserStore, create_curve_keys, write_private
from mmats.model.messages import CHANNELS, MESSAGE_BYTES_MAX
from mmats.model.profile import Profile

IPC = "ipc"
TCP = "tcp"
_READ_MAX = 64  # messages of a socket before others have their turn
_REPLIES_MAX = 1_000  # on their way to one client
_PUBLISHED_MAX = 4_096  # on their way to one subscriber; a slower one has a gap
_LINGER_MS = 200

Bound = BoundSocket["zmq.Socket[bytes]"]


@dataclass(frozen=True, slots=True)
class TcpOptions:
    """Where to listen for clients of other machines: three ports from `port` on.

    They are for commands, the public and the private channel; `port` 0 takes free ones.
    """

    host: str = "127.0.0.1"
    port: int = 0

    def endpoint(self, name: str) -> str:
        """ZeroMQ endpoint of control, public or private."""
        offset = (CONTROL, *CHANNELS).index(name)
        return f"tcp://{self.host}:{self.port + offset if self.port else '*'}"


class IDesk(Protocol):
    """Who deals with what comes in."""

    def on_message(self, peer: Peer, payload: bytes, curve_key: str) -> None:
        """A client's message."""

    def on_bad_message(self, peer: Peer, reason: str) -> None:
        """A message of the wrong shape."""

    def on_gone(self, peer: Peer) -> None:
        """A reply found its client gone."""

    def on_key_refused(self, domain: str, address: str) -> None:
        """A CURVE key may not come in."""

    def on_error(self, where: str, error: Exception) -> None:
        """A handler raised."""


class Links:
    """Opens, reads and writes the sockets; all on the loop's thread.

    ZeroMQ tells news by the edges of a descriptor: after every read that ends early and every send
    the socket is looked at again.
    """

    def __init__(
        self,
        profile: Profile,
        tcp: TcpOptions | None,
        users: UserStore,
        loop: asyncio.AbstractEventLoop,
        desk: IDesk,
    ) -> None:
        self._profile = profile
        self._tcp = tcp
        self._users = users
        self._loop = loop
        self._desk = desk
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._secret_key = b""
        self._sockets: dict[tuple[str, str], Bound] = {}  # by link and name
        self._closed: dict[str, str] = {}  # tcp publishers to be opened again, and where
        self._scheduled: set[Any] = set()
        self.zap: ZapHandler | None = None
        self.replies_dropped = 0
        self.opened_again = 0

    @property
    def endpoints(self) -> dict[str, str]:
        """Where clients connect to, by `ipc.control`, `tcp.public`, ..."""
        return {f"{link}.{name}": b.endpoint for (link, name), b in self._sockets.items()}

    def open(self) -> None:
        """Bind everything; BusError says what can't be bound, and then nothing is."""
        try:
            for name in (CONTROL, *CHANNELS):
                self._bind(IPC, name, self._profile.endpoint(name))
            if self._tcp is not None:
                self._open_zap()
                for name in (CONTROL, *CHANNELS):
                    self._bind(TCP, name, self._tcp.endpoint(name))
        except BaseException:
            self.close(0)
            raise

    def close(self, linger_ms: int = _LINGER_MS) -> None:
        """Close everything; what is on its way has a moment to leave."""
        for key in list(self._sockets):
            self._unbind(key, linger_ms)
        self.close_zap()
        self._context.term()

    def close_zap(self) -> None:
        """End the authentication: nobody new comes in over tcp."""
        if self.zap is not None:
            self._loop.remove_reader(_descriptor(self.zap.socket))
            self.zap.close()
            self.zap = None

    def send(self, peer: Peer, reply: bytes) -> None:
        """Send a reply, or drop it where the client is gone or does not read."""
        bound = self._sockets[peer.link, CONTROL]
        try:
            bound.socket.send_multipart([peer.identity, reply], zmq.NOBLOCK)
        except zmq.Again:
            self.replies_dropped += 1
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.replies_dropped += 1
            self._desk.on_gone(peer)
        self._look_again(peer.link)

    def publish(self, channel: str, message: bytes) -> None:
        """Send a message to all subscribers that have room for it."""
        for link in (IPC, TCP):
            bound = self._sockets.get((link, channel))
            if bound is not None:
                try:
                    bound.socket.send(message, zmq.NOBLOCK)
                except zmq.ZMQError as error:  # its subscribers see the gap
                    self._desk.on_error("publish", error)

    def tick(self) -> None:
        """Cut off subscribers whose keys were revoked; look at every socket once more."""
        if self.zap is not None:
            for domain in self.zap.revoked_domains() & set(CHANNELS):
                bound = self._sockets.get((TCP, domain))
                if bound is not None:
                    self._closed[domain] = bound.endpoint
                    self._unbind((TCP, domain), 0)
            self._serve_zap()
        for name, endpoint in list(self._closed.items()):
            try:
                self._bind(TCP, name, endpoint)
            except BusError:
                continue  # the old socket's port is not free yet
            del self._closed[name]
            self.opened_again += 1
        for link, name in list(self._sockets):
            if name == CONTROL:
                self._look_again(link)

    # -- sockets -----------------------------------------------------------------------------------

    def _bind(self, link: str, name: str, endpoint: str) -> None:
        is_router = name == CONTROL
        options = SocketOptions(
            send_queue_max=_REPLIES_MAX if is_router else _PUBLISHED_MAX,
            message_bytes_max=MESSAGE_BYTES_MAX,
            linger_ms=_LINGER_MS,
        )
        curve = CurveServer(self._secret_key, name) if link == TCP else None
        kind = zmq.ROUTER if is_router else zmq.PUB
        bound = open_bound(self._context, kind, endpoint, options, curve)
        self._sockets[link, name] = bound
        fd = _descriptor(bound.socket)
        if is_router:
            self._loop.add_reader(fd, self._look_again, link)
            self._look_again(link)
        else:  # asking for the events lets libzmq take subscriptions in
            self._loop.add_reader(fd, bound.socket.getsockopt, zmq.EVENTS)
            bound.socket.getsockopt(zmq.EVENTS)

    def _unbind(self, key: tuple[str, str], linger_ms: int) -> None:
        bound = self._sockets.pop(key)
        self._loop.remove_reader(_descriptor(bound.socket))
        bound.close(linger_ms)

    def _open_zap(self) -> None:
        self._secret_key = server_keys(self._profile)[1].encode("ascii")
        self.zap = ZapHandler(self._context, self._users, self._desk.on_key_refused)
        self._loop.add_reader(_descriptor(self.zap.socket), self._serve_zap)
        self._serve_zap()

    def _serve_zap(self) -> None:
        try:
            while self.zap is not None and self.zap.serve(_READ_MAX):
                pass
        except Exception as error:  # noqa: BLE001 - the loop goes on whatever a peer sends
            self._desk.on_error("zap", error)

    # -- reading -----------------------------------------------------------------------------------

    def _look_again(self, link: str) -> None:
        if link not in self._scheduled:
            self._scheduled.add(link)
            self._loop.call_soon(self._read, link)

    def _read(self, link: str) -> None:
        self._scheduled.discard(link)
        bound = self._sockets.get((link, CONTROL))
        if bound is None:
            return
        for _ in range(_READ_MAX):
            try:
                frames = bound.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            try:
                self._take(link, frames)
            except Exception as error:  # noqa: BLE001 - the loop goes on whatever a peer sends
                self._desk.on_error("request", error)
        self._look_again(link)

    def _take(self, link: str, frames: list[zmq.Frame]) -> None:
        peer = Peer(link, frames[0].bytes)
        if len(frames) != 2:
            self._desk.on_bad_message(peer, f"a request is one frame, not {len(frames) - 1}")
            return
        curve_key = ""
        if link == TCP:
            try:
                curve_key = str(frames[1].get("User-Id"))
            except zmq.ZMQError:
                self._desk.on_bad_message(peer, "the connection has no key")
                return
        self._desk.on_message(peer, frames[1].bytes, curve_key)


def _descriptor(opened: "zmq.Socket[bytes]") -> int:
    return int(opened.getsockopt(zmq.FD))


def server_keys(profile: Profile) -> tuple[str, str]:
    """Return the engine's CURVE keys, public and secret; they are made when first asked for.

    Clients need the public one, which is in `keys/control.public`.
    """
    public_file = profile.keys_dir / "control.public"
    secret_file = profile.keys_dir / "control.secret"
    if not (public_file.exists() and secret_file.exists()):
        public, secret = create_curve_keys()
        write_private(secret_file, secret + "\n")
        write_private(public_file, public + "\n")
    if secret_file.stat().st_mode & 0o077:
        raise BusError("other users can read it", str(secret_file), "chmod 600")
    return public_file.read_text().strip(), secret_file.read_text().strip()
