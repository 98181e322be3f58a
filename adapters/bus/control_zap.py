"""Decides which CURVE keys may connect over tcp (ZAP, RFC 27).

Every tcp socket has a domain and enforces it: while nobody answers here, nobody comes in.
"""

from collections.abc import Callable

import zmq
from zmq.utils import z85

from adapters.bus.users import User, UserStore
from mmats.model.messages import PRIVATE, PUBLIC, Role

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
CONTROL = "control"
ROLES = {CONTROL: Role.VIEWER, PUBLIC: Role.VIEWER, PRIVATE: Role.TRADER}
"""The least role that a domain takes; a domain that is not here takes nobody."""

_FRAMES = 9  # identity, delimiter, version, request, domain, address, identity, mechanism, key
_ADMITTED_MAX = 1_024


class ZapHandler:
    """Answers the authentication requests of one ZeroMQ context; for the control thread.

    `on_refusal` is called with the domain and the address of a client that may not come in.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        users: UserStore,
        on_refusal: Callable[[str, str], None],
    ) -> None:
        self._users = users
        self._on_refusal = on_refusal
        self._admitted: set[tuple[str, str]] = set()
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(ZAP_ENDPOINT)

    def serve(self, requests_max: int) -> bool:
        """Answer waiting requests; True where there may be more."""
        for _ in range(requests_max):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            if len(frames) >= _FRAMES - 1:
                self._answer(frames)
        return True

    def revoked_domains(self) -> set[str]:
        """Return domains with connections of keys that may not be there any more, once."""
        gone = {(domain, key) for domain, key in self._admitted if self._user(domain, key) is None}
        self._admitted -= gone
        return {domain for domain, _ in gone}

    def close(self) -> None:
        """Stop answering: from now on nobody comes in."""
        self.socket.close(linger=0)

    def _answer(self, frames: list[bytes]) -> None:
        identity, _, version, request, domain_bytes, address = frames[:6]
        mechanism, credentials = frames[7], frames[8:]
        domain = domain_bytes.decode("ascii", "replace")
        key = ""
        if version == b"1.0" and mechanism == b"CURVE" and len(credentials) == 1:
            key = z85.encode(credentials[0]).decode("ascii")
        if self._user(domain, key) is not None and len(self._admitted) < _ADMITTED_MAX:
            self._admitted.add((domain, key))
            status, text, user_id = b"200", b"OK", key.encode("ascii")
        else:
            self._on_refusal(domain, address.decode("ascii", "replace"))
            status, text, user_id = b"400", b"not admitted", b""
        reply = [identity, b"", version, request, status, text, user_id, b""]
        self.socket.send_multipart(reply, zmq.NOBLOCK)

    def _user(self, domain: str, key: str) -> User | None:
        user = self._users.find_curve_key(key)
        least = ROLES.get(domain)
        return user if user is not None and least is not None and user.role >= least else None
