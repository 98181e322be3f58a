"""Profiles in short temporary folders: the path of a unix socket ends at 107 bytes."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmats.model.profile import Profile


@contextmanager
def temporary_profile(name: str = "dev") -> Iterator[Profile]:
    """A profile with its folders; all is removed in the end."""
    home = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
    try:
        profile = Profile.of(name, home)
        profile.create()
        yield profile
    finally:
        shutil.rmtree(home)
