"""Users of a profile exist before anyone asks for a session."""

from collections.abc import Callable

from mmats.model.profile import Profile
from mmats.plugins import plugin


def ensure_users(profile: Profile, tell: Callable[[str], object]) -> None:
    """Make one user for each role where there are none; the admin passphrase is told once."""
    passphrase = plugin("mmats.bus", "users")(profile).create_defaults()
    if passphrase:
        tell(
            f"admin passphrase of profile {profile.name}, shown this once: {passphrase}\n"
            "it is asked for when risk is raised: keep it where this machine does not"
        )
