"""Users, tokens and the passphrase: what is kept, who is found, what a revocation does."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapters.bus.users import UserStore, create_curve_keys, token_hash, write_private
from mmats.cli.main import main
from mmats.model.errors import ConfigError
from mmats.model.messages import Role
from mmats.model.profile import Profile
from mmats.plugins import forget_plugins
from tests.fakes.installed import install_entry_points


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    # The paths of sockets are checked for their length, and no socket is made here.
    monkeypatch.setattr("mmats.model.profile.SOCKET_PATH_MAX", 4_096)
    made = Profile.of("dev", tmp_path)
    made.create()
    return made


@pytest.fixture
def store(profile: Profile) -> UserStore:
    return UserStore(profile)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "installed"
    folder.mkdir()
    install_entry_points(folder, monkeypatch)
    yield
    forget_plugins()


def test_the_first_start_makes_one_user_for_each_role(store: UserStore, profile: Profile) -> None:
    passphrase = store.create_defaults()
    assert passphrase is not None
    assert {u.name: u.role for u in store.users()} == {
        "owner-viewer": Role.VIEWER,
        "owner-trader": Role.TRADER,
        "owner-admin": Role.ADMIN,
    }
    for role in Role:
        file = profile.keys_dir / f"{role.name.lower()}.token"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        found = store.find_token(file.read_text().strip())
        assert found is not None
        assert found.role is role
    assert store.check_passphrase(passphrase)
    assert not store.check_passphrase(passphrase[:-1])
    assert store.create_defaults() is None


def test_no_secret_is_kept_in_clear(store: UserStore, profile: Profile) -> None:
    passphrase = store.create_defaults()
    assert passphrase is not None
    token = store.add("ann", Role.TRADER)
    kept = store.path.read_text()
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert passphrase not in kept
    assert token not in kept
    assert token_hash(token) in kept
    assert not [p for p in profile.keys_dir.iterdir() if p.name.startswith(".")]


def test_tokens_have_256_random_bits_and_are_never_given_twice(store: UserStore) -> None:
    tokens = {store.add(f"user{n}", Role.VIEWER) for n in range(20)}
    assert len(tokens) == 20
    assert all(token.startswith("mm_") and len(token) == 3 + 43 for token in tokens)


def test_another_store_sees_a_revocation_at_once(store: UserStore, profile: Profile) -> None:
    token = store.add("ann", Role.ADMIN)
    other = UserStore(profile)
    assert other.find_token(token) is not None
    store.revoke("ann")
    assert other.find_token(token) is None
    assert other.user("ann") is None
    assert [u.name for u in other.users() if u.revoked_ns] == ["ann"]


def test_a_name_taken_again_has_a_new_token(store: UserStore) -> None:
    old = store.add("ann", Role.ADMIN)
    store.revoke("ann")
    new = store.add("ann", Role.VIEWER)
    assert store.find_token(old) is None
    found = store.find_token(new)
    assert found is not None
    assert found.role is Role.VIEWER


def test_keys_find_their_user(store: UserStore) -> None:
    key, _ = create_curve_keys()
    store.add("ann", Role.TRADER, key)
    found = store.find_curve_key(key)
    assert found is not None
    assert found.name == "ann"
    assert store.find_curve_key(create_curve_keys()[0]) is None
    assert store.find_curve_key("") is None
    with pytest.raises(ConfigError, match="another user has or had this key"):
        store.add("bob", Role.TRADER, key)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "a" * 41, "\u00e4"])
def test_bad_names_are_refused(store: UserStore, name: str) -> None:
    with pytest.raises(ConfigError, match="is no user name"):
        store.add(name, Role.VIEWER)


def test_what_cannot_be_done_is_said(store: UserStore) -> None:
    store.add("ann", Role.VIEWER)
    with pytest.raises(ConfigError, match="there is a user 'ann'"):
        store.add("ann", Role.ADMIN)
    with pytest.raises(ConfigError, match=r"no active user 'bob' \(there are: ann\)"):
        store.revoke("bob")
    with pytest.raises(ConfigError, match="40 characters"):
        store.add("bob", Role.VIEWER, "short")
    with pytest.raises(ConfigError, match="at least 12 characters"):
        store.set_passphrase("too short")


@pytest.mark.parametrize("damage", ["{", '{"v": 2}', '{"v": 1, "more": 0}', "\ud800", "[" * 9_999])
def test_a_damaged_file_admits_nobody_and_is_not_overwritten(store: UserStore, damage: str) -> None:
    token = store.add("ann", Role.ADMIN)
    damaged = damage.encode("utf-8", "surrogatepass")
    store.path.write_bytes(damaged)
    assert store.find_token(token) is None
    assert "is damaged" in store.damaged
    with pytest.raises(ConfigError, match="is damaged"):
        store.add("bob", Role.ADMIN)
    assert store.path.read_bytes() == damaged


def test_a_file_that_others_can_read_admits_nobody(store: UserStore) -> None:
    token = store.add("ann", Role.ADMIN)
    store.path.chmod(0o640)
    assert store.find_token(token) is None
    assert "other users can read it" in store.damaged
    store.path.chmod(0o600)
    assert store.find_token(token) is not None


def test_without_a_passphrase_none_is_right(store: UserStore) -> None:
    assert not store.check_passphrase("")
    store.set_passphrase("correct horse battery")
    assert store.check_passphrase("correct horse battery")
    assert not store.check_passphrase("")


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    write_private(file, "old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_private(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_writers_of_several_processes_lose_nothing(profile: Profile) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import mmats.model.profile as module\n"
        "module.SOCKET_PATH_MAX = 4096\n"
        "from adapters.bus.users import UserStore\n"
        "from mmats.model.messages import Role\n"
        "store = UserStore(module.Profile.of('dev', Path(sys.argv[1])))\n"
        "for n in range(10):\n"
        "    store.add(f'{sys.argv[2]}{n}', Role.VIEWER)\n"
    )
    home = str(profile.root.parent)
    writers = [subprocess.Popen([sys.executable, "-c", code, home, name]) for name in "abc"]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert len(UserStore(profile).users()) == 30


@pytest.mark.usefixtures("installed")
def test_the_verbs(profile: Profile, store: UserStore, tmp_path: Path) -> None:
    where = ["--profile", "dev", "--home", str(tmp_path)]
    run = CliRunner().invoke
    public = run(main, ["users", "keypair", str(tmp_path / "secret.key")]).stdout.strip()
    assert len((tmp_path / "secret.key").read_text().strip()) == 40
    key = ["--curve-key", public]
    added = run(main, ["users", "add", "ann", "--role", "trader", *key, *where])
    assert added.exit_code == 0, added.output
    user = store.find_token(added.stdout.strip())
    assert user is not None
    assert (user.name, user.role, user.curve_key) == ("ann", Role.TRADER, public)

    kept = tmp_path / "bob.token"
    args = ["users", "add", "bob", "--role", "admin", "--token-file", str(kept), *where]
    assert run(main, args).stdout == ""
    assert store.find_token(kept.read_text().strip()) is not None
    assert run(main, args).exit_code == 2

    rows = json.loads(run(main, ["users", "list", "--json", *where]).stdout)
    assert [(row["name"], row["role"], row["revoked"]) for row in rows] == [
        ("ann", "trader", ""),
        ("bob", "admin", ""),
    ]
    assert public in run(main, ["users", "list", *where], env={"COLUMNS": "200"}).stdout
    assert run(main, ["users", "revoke", "ann", *where]).exit_code == 0
    assert run(main, ["users", "revoke", "ann", *where]).exit_code == 2
    assert store.user("ann") is None

    words = "a passphrase of some length\n"
    asked = run(main, ["users", "passphrase", *where], input=words * 2)
    assert asked.exit_code == 0, asked.output
    assert words.strip() not in asked.output
    assert store.check_passphrase(words.strip())
    store.path.write_text("{")
    assert run(main, ["users", "list", *where]).exit_code == 2
