"""Where the engine listens, and the keys that it takes."""

from dataclasses import dataclass, field
from pathlib import Path

from mmats.client.errors import TokenUnreadable
from mmats.model.messages import PRIVATE, PUBLIC
from mmats.model.profile import Profile


@dataclass(frozen=True, slots=True)
class Curve:
    """CURVE keys in Z85: the engine's public key, and the client's pair."""

    server_public: str
    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tcp:
    """An engine reached over tcp; publishers listen on the two ports after the control port."""

    host: str
    port: int
    curve: Curve

    def endpoints(self) -> dict[str, str]:
        """ZeroMQ endpoints by name."""
        names = ("control", PUBLIC, PRIVATE)
        return {name: f"tcp://{self.host}:{self.port + i}" for i, name in enumerate(names)}


def local_endpoints(profile: Profile) -> dict[str, str]:
    """ZeroMQ endpoints of the engine on this machine, by name."""
    return {name: profile.endpoint(name) for name in ("control", PUBLIC, PRIVATE)}


def read_token(profile: Profile, role: str) -> str:
    """Return the token in `keys/ROLE.token` of a profile.

    Raises
    ------
    TokenUnreadable
    """
    path = profile.keys_dir / f"{role}.token"
    try:
        token = path.read_text("ascii").strip()
    except FileNotFoundError as error:
        hint = _others(path) or f"an engine of profile {profile.name} writes it when it starts"
        raise TokenUnreadable(f"there is no token of role {role}", str(path), hint) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        hint = "it belongs to the user who runs the engine, mode 0600"
        raise TokenUnreadable(f"can't be read: {reason}", str(path), hint) from error
    if not token:
        raise TokenUnreadable("the file is empty", str(path))
    return token


def _others(path: Path) -> str:
    """Name the roles that have a token."""
    names = sorted(p.stem for p in path.parent.glob("*.token")) if path.parent.is_dir() else []
    return f"there are tokens of: {', '.join(names)}" if names else ""
