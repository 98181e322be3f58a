"""Alarms: a log line, the file `run/ALARM`, and a command of the user's."""

import os
import subprocess
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mmats.engine.logs import get_logger
from mmats.model.profile import Profile
from mmats.supervisor.children import child_environment

COMMAND_S_MAX = 30.0


def alarm_file(profile: Profile) -> Path:
    """One line an alarm, `TIME WHO: REASON`, oldest first; whoever has dealt with it removes it."""
    return profile.run_dir / "ALARM"


class Alarm:
    """Tells people that something needs them.

    Parameters
    ----------
    profile : whose alarm file
    source : who tells, such as `watchdog`
    command : program and arguments; the reason is added as the last one. No shell, allowed
        variables only, killed after 30 s
    """

    def __init__(self, profile: Profile, source: str, command: Sequence[str] = ()) -> None:
        self._file = alarm_file(profile)
        self._source = source
        self._command = tuple(command)
        self._log = get_logger(source)
        self._running: list[threading.Thread] = []

    def sound(self, reason: str) -> None:
        """Tell a reason in every way; returns at once and never raises."""
        self._log.critical("alarm", reason=reason)
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = f"{at} {self._source}: {' '.join(reason.split())}\n"
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, line.encode(errors="replace"))
            finally:
                os.close(handle)
        except OSError as error:
            self._log.error("alarm.file", error=error)
        if self._command:
            thread = threading.Thread(target=self._run, args=(reason,), daemon=True)
            thread.start()
            self._running.append(thread)

    def close(self) -> None:
        """Wait for commands that still run."""
        for thread in self._running:
            thread.join(COMMAND_S_MAX)

    def _run(self, reason: str) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
                [*self._command, reason],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=child_environment(os.environ),
                timeout=COMMAND_S_MAX,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._log.error("alarm.command", error=error)
            return
        if done.returncode:
            self._log.error("alarm.command", exit_code=done.returncode)
