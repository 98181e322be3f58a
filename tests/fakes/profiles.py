"""Profiles in folders short enough for the paths of sockets."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmats.model.profile import Profile


@contextmanager
def short_profile(name: str = "paper") -> Iterator[Profile]:
    """A profile in a new folder, which is removed afterwards."""
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="mm-"))
    try:
        yield Profile.of(name, home)
    finally:
        shutil.rmtree(home)
