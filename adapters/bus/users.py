"""Who may talk to the engine: tokens, CURVE keys and the admin passphrase of a profile.

`keys/users.json` has no secret that can be used: of a token it keeps the SHA-256 (the token itself
has 256 random bits, so that a slow hash would add nothing), of the passphrase the scrypt hash.
"""

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import zmq
from msgspec import Meta

from mmats.model.errors import ConfigError
from mmats.model.messages import Role
from mmats.model.profile import Profile

TOKEN_PREFIX = "mm_"  # noqa: S105 - what every token begins with
DEFAULT_USERS = {role: f"owner-{role.name.lower()}" for role in reversed(Role)}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
CURVE_KEY = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")  # Z85
PASSPHRASE_LENGTH_MIN = 12
_SCRYPT_N = 2**14  # 16 MiB and some 70 ms
_SCRYPT_R = 8
_SCRYPT_P = 1
_SCRYPT_BYTES_MAX = 2**26
_GROUPS = 5  # of a random passphrase, five characters of 32 each: 125 bits
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"

_Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One user; times are ns UTC, 0 is never."""

    name: str
    role: Role
    token_sha256: _Hex32
    curve_key: str = ""  # public, Z85; empty: this user comes over unix sockets only
    created_ns: int
    revoked_ns: int = 0


class Passphrase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The scrypt hash of the admin passphrase."""

    n: Annotated[int, Meta(ge=2**14, le=2**17)]
    r: Annotated[int, Meta(ge=8, le=16)]
    p: Annotated[int, Meta(ge=1, le=4)]
    salt: _Hex32
    hash: _Hex32


class UserFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `users.json` has."""

    v: Literal[1] = 1
    passphrase: Passphrase | None = None
    users: tuple[User, ...] = ()


class UserStore:
    """The users of a profile. Every question looks whether the file has changed since the last.

    Safe to use from several threads; several processes may write. `damaged` tells why nobody is
    known where the file can't be used: questions then find nobody, changes raise.
    """

    def __init__(self, profile: Profile) -> None:
        self.path = profile.keys_dir / "users.json"
        self.damaged = ""
        self._guard = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._file = UserFile()

    # -- questions ---------------------------------------------------------------------------------

    def users(self) -> list[User]:
        """Return all users, revoked ones too."""
        return list(self._current().users)

    def user(self, name: str) -> User | None:
        """Return an active user of that name."""
        return next((u for u in self._current().users if u.name == name and not u.revoked_ns), None)

    def find_token(self, token: str) -> User | None:
        """Return the active user whose token it is; the time taken says nothing about tokens."""
        asked = token_hash(token)
        found = None
        for user in self._current().users:
            if hmac.compare_digest(user.token_sha256, asked) and not user.revoked_ns:
                found = user
        return found

    def find_curve_key(self, key: str) -> User | None:
        """Return the active user whose public CURVE key (Z85) it is."""
        if not key:
            return None
        active = (user for user in self._current().users if not user.revoked_ns)
        return next((user for user in active if user.curve_key == key), None)

    def check_passphrase(self, passphrase: str) -> bool:
        """Tell whether it is the admin passphrase; takes some 70 ms and 16 MiB."""
        known = self._current().passphrase
        if known is None:
            return False
        salt = bytes.fromhex(known.salt)
        asked = _scrypt(passphrase, salt, known.n, known.r, known.p)
        return hmac.compare_digest(asked.hex(), known.hash)

    # -- changes -----------------------------------------------------------------------------------

    def create_defaults(self) -> str | None:
        """Make one user for each role and a random passphrase, unless there are users already.

        The tokens go to `keys/<role>.token`, for clients that run as the same user of the machine.

        Returns
        -------
        str or None
            The passphrase, to be shown once: it is kept nowhere. None: users were there.
        """
        with self._changing() as file:
            if self.path.exists():
                return None
            users = []
            for role, name in DEFAULT_USERS.items():
                token = _new_token()
                write_private(self.path.parent / f"{role.name.lower()}.token", token + "\n")
                users.append(_new_user(name, role, token, ""))
            groups = ("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(_GROUPS))
            passphrase = "-".join(groups)
            self._write(
                msgspec.structs.replace(
                    file, users=tuple(users), passphrase=_hashed_passphrase(passphrase)
                )
            )
            return passphrase

    def add(self, name: str, role: Role, curve_key: str = "") -> str:
        """Add a user and return the token, which is kept nowhere.

        A revoked user's name may be taken again; the old token and key stay without use.

        Raises
        ------
        ConfigError
            The name or the key is no such thing, or an active user has it.
        """
        if not NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no user name", "", "letters, digits and _.-, up to 40")
        if curve_key and not CURVE_KEY.fullmatch(curve_key):
            raise ConfigError("a public CURVE key has 40 characters, Z85", "curve_key")
        with self._changing() as file:
            if any(u.name == name and not u.revoked_ns for u in file.users):
                raise ConfigError(f"there is a user {name!r}", "", "revoke it first")
            if curve_key and any(u.curve_key == curve_key for u in file.users):
                raise ConfigError("another user has or had this key", "curve_key", "make a new one")
            token = _new_token()
            kept = tuple(user for user in file.users if user.name != name)
            added = _new_user(name, role, token, curve_key)
            self._write(msgspec.structs.replace(file, users=(*kept, added)))
            return token

    def revoke(self, name: str) -> None:
        """Take every right from a user, from the next message on; ConfigError: there is none."""
        with self._changing() as file:
            if not any(u.name == name and not u.revoked_ns for u in file.users):
                known = ", ".join(u.name for u in file.users if not u.revoked_ns) or "nobody"
                raise ConfigError(f"there is no active user {name!r}", "", f"there are: {known}")
            now_ns = time.time_ns()
            users = tuple(
                msgspec.structs.replace(u, revoked_ns=now_ns)
                if u.name == name and not u.revoked_ns
                else u
                for u in file.users
            )
            self._write(msgspec.structs.replace(file, users=users))

    def set_passphrase(self, passphrase: str) -> None:
        """Set the admin passphrase; ConfigError where it is too short."""
        if len(passphrase) < PASSPHRASE_LENGTH_MIN:
            raise ConfigError(f"a passphrase has at least {PASSPHRASE_LENGTH_MIN} characters")
        hashed = _hashed_passphrase(passphrase)
        with self._changing() as file:
            self._write(msgspec.structs.replace(file, passphrase=hashed))

    # -- file --------------------------------------------------------------------------------------

    def _current(self) -> UserFile:
        with self._guard:
            try:
                facts = self.path.stat()
                seen = (facts.st_mtime_ns, facts.st_ino, facts.st_size, facts.st_mode)
                if seen != self._seen:
                    self._file, self._seen, self.damaged = self._read(), seen, ""
            except FileNotFoundError:
                self._file, self._seen, self.damaged = UserFile(), None, "there is no users.json"
            except (ConfigError, OSError) as error:
                self._file, self._seen, self.damaged = UserFile(), None, str(error)
            return self._file

    def _read(self) -> UserFile:
        if self.path.stat().st_mode & 0o077:
            raise ConfigError("other users can read it", str(self.path), "chmod 600")
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=UserFile)
        except (ValueError, RecursionError) as error:
            hint = "mend it, or move it away: `mmats up` then makes new users"
            raise ConfigError(f"is damaged: {error}", str(self.path), hint) from None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[UserFile]:
        """Keep other processes from writing between our reading and our writing."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_fd = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX)
            yield self._read() if self.path.exists() else UserFile()
        finally:
            os.close(lock_fd)

    def _write(self, file: UserFile) -> None:
        write_private(self.path, msgspec.json.format(msgspec.json.encode(file)).decode())


def write_private(path: Path, text: str) -> None:
    """Replace a file of mode 0600 as a whole; after a crash it is the old or the new one."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(fd, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)


def create_curve_keys() -> tuple[str, str]:
    """Return a new pair of CURVE keys, public and secret, Z85."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def token_hash(token: str) -> str:
    """SHA-256 of a token, hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _new_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def _new_user(name: str, role: Role, token: str, curve_key: str) -> User:
    return User(
        name=name,
        role=role,
        token_sha256=token_hash(token),
        curve_key=curve_key,
        created_ns=time.time_ns(),
    )


def _hashed_passphrase(passphrase: str) -> Passphrase:
    salt = secrets.token_bytes(32)
    hashed = _scrypt(passphrase, salt, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P)
    return Passphrase(n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, salt=salt.hex(), hash=hashed.hex())


def _scrypt(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        passphrase.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=n,
        r=r,
        p=p,
        maxmem=_SCRYPT_BYTES_MAX * 5,
        dklen=32,
    )
