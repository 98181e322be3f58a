"""The engine's heartbeats as a client of the control plane hears them."""

import math
import time
from collections.abc import Callable

from mmats.client import Client
from mmats.engine.logs import get_logger
from mmats.engine.publisher import ENDED
from mmats.model.errors import MmatsError
from mmats.model.profile import Profile

CONNECT_S = 0.5


class ClientHeartbeats:
    """Connects as a viewer, and again for as long as there is no engine.

    Parameters
    ----------
    pause : waits so many seconds, or until a signal
    """

    def __init__(self, profile: Profile, pause: Callable[[float], None]) -> None:
        self._profile = profile
        self._pause = pause
        self._client: Client | None = None
        self._told = ""
        self._log = get_logger("watchdog")

    def wait(self, timeout_s: float) -> None:
        """Let the time pass; connect where that has not been possible yet."""
        if self._client is None:
            self._connect()
        self._pause(timeout_s)

    def last_s(self) -> float:
        """Monotonic time of the last heartbeat, -inf before the first."""
        if self._client is None:
            return -math.inf
        return time.monotonic() - self._client.link_age_s

    def has_ended(self) -> bool:
        """Whether the last that the engine published of itself is its orderly end."""
        if self._client is None:
            return False
        engine = self._client.state.get("engine")
        published = isinstance(engine, dict) and engine.get("state") == ENDED
        return published or self._client.engine_state == ENDED

    def close(self) -> None:
        """End the session."""
        if self._client is not None:
            self._client.close()

    def _connect(self) -> None:
        try:
            self._client = Client.connect(self._profile, role="viewer", timeout_s=CONNECT_S)
        except MmatsError as error:
            if str(error) != self._told:  # once, not ten times a second
                self._told = str(error)
                self._log.warning("no engine yet", error=error)
            return
        self._told = ""
        self._log.info("connected", engine_run=self._client.run)
