"""Files of the invoking user: where they are, whose they are, and what is left alone."""

from __future__ import annotations

import ctypes
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsview import places

NOBODY = 65534


@pytest.fixture
def sudo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """As if ``nobody`` had called sudo; a directory that is nobody's, whose way there anyone may go."""
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    opened = [directory for directory in tmp_path.parents if directory.stat().st_uid == os.geteuid()][:-1]
    before = [(directory, directory.stat().st_mode) for directory in (tmp_path, *opened)]
    for directory, mode in before:
        directory.chmod(stat.S_IMODE(mode) | 0o011)
    yield home
    for directory, mode in before:
        directory.chmod(stat.S_IMODE(mode))


def test_directories_are_xdgs_unless_they_are_not_absolute() -> None:
    told = {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "s", "HOME": "/h"}
    assert places.config_directory(told) == Path("/c/nsview")
    assert places.state_directory(told) == Path("/h/.local/state/nsview")


@pytest.mark.needs("root")
def test_under_sudo_they_are_in_the_home_of_who_called_it() -> None:
    person = places.invoker({"SUDO_UID": str(NOBODY), "HOME": "/root"})
    assert person.uid == NOBODY
    assert places.config_directory({"SUDO_UID": str(NOBODY), "HOME": "/root"}) == person.home / ".config/nsview"


@pytest.mark.parametrize("uid", ["", "0", "-1", "x", "99999999", "²"])
def test_what_is_no_users_number_says_nothing(uid: str) -> None:
    assert places.invoker({"SUDO_UID": uid, "HOME": "/h"}) == places.Invoker(os.geteuid(), os.getegid(), Path("/h"))


@pytest.mark.needs("root")
def test_files_and_directories_under_sudo_are_the_callers(sudo: Path) -> None:
    written, added = sudo / "a/b/file", sudo / "c/log"
    places.write(written, b"one")
    places.append(added, b"1\n")
    places.append(added, b"2\n")
    for path in (written, written.parent, written.parent.parent, added, added.parent):
        assert path.stat().st_uid == path.stat().st_gid == NOBODY
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE(added.stat().st_mode) == 0o600
    assert added.read_bytes() == b"1\n2\n"
    (sudo / "new").touch()
    assert (sudo / "new").stat().st_uid == 0


@pytest.mark.needs("root")
def test_a_link_to_roots_files_is_not_followed_with_roots_rights(sudo: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    (sudo / "link").symlink_to(secret)
    for use in (
        lambda: places.read(sudo / "link", 100),
        lambda: places.append(sudo / "link", b"x"),
        lambda: places.write(sudo / "link", b"x"),
    ):
        with pytest.raises(PermissionError):
            use()
    assert secret.read_text() == "root's"


@pytest.mark.needs("root")
def test_rights_are_one_threads_and_death_signal_and_dumpable_mark_stay(sudo: Path) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(1, 12, 0, 0, 0)
    try:
        elsewhere: list[int] = []
        now = threading.Event()
        thread = threading.Thread(target=lambda: now.wait() and elsewhere.append(_file_uid()))
        thread.start()
        with places.as_invoker():
            now.set()
            thread.join()
            assert _file_uid() == NOBODY
        death = ctypes.c_int()
        libc.prctl(2, ctypes.byref(death), 0, 0, 0)
        assert death.value == 12
    finally:
        libc.prctl(1, 0, 0, 0, 0)
    assert elsewhere == [0]
    assert _file_uid() == 0
    assert libc.prctl(3, 0, 0, 0, 0) == 1


def _file_uid() -> int:
    status = Path(f"/proc/self/task/{threading.get_native_id()}/status").read_text()
    return int(status.partition("Uid:")[2].split()[3])


def test_a_file_written_anew_is_not_written_over_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    places.write(path, b"one", anew=True)
    with pytest.raises(FileExistsError):
        places.write(path, b"two", anew=True)
    assert path.read_bytes() == b"one"
    places.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    places.write(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


def test_of_a_long_file_the_end_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert places.read(tmp_path / "file", 4) == b"6789"
    assert places.read(tmp_path / "file", 100) == b"0123456789"
