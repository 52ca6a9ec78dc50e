"""The file options of `nsview run`: read in order as bwrap(1) reads them, and done."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import RUN, complaint, run, said
from parsed import refusal, spec

from nsview.options import files
from spawner.oci import (
    Bind,
    Chmod,
    Dev,
    Dir,
    File,
    FileOperation,
    Mqueue,
    Overlay,
    Proc,
    RemountReadOnly,
    Symlink,
    Tmpfs,
)

ONE: dict[tuple[str, ...], FileOperation] = {
    ("--bind", "/a", "/b"): Bind(source="/a", destination="/b"),
    ("--bind-try", "/a", "/b"): Bind(source="/a", destination="/b", optional=True),
    ("--ro-bind", "/a", "/b"): Bind(source="/a", destination="/b", read_only=True),
    ("--ro-bind-try", "/a", "/b"): Bind(source="/a", destination="/b", read_only=True, optional=True),
    ("--dev-bind", "/a", "/b"): Bind(source="/a", destination="/b", devices=True),
    ("--dev-bind-try", "/a", "/b"): Bind(source="/a", destination="/b", devices=True, optional=True),
    ("--tmpfs", "/t"): Tmpfs(destination="/t"),
    ("--size", "4096", "--tmpfs", "/t"): Tmpfs(destination="/t", size=4096),
    ("--size=1M", "--perms=1777", "--tmpfs", "/t"): Tmpfs(destination="/t", size=1 << 20, mode=0o1777),
    ("--perms", "0700", "--size", "1", "--tmpfs", "/t"): Tmpfs(destination="/t", size=1, mode=0o700),
    ("--proc", "/proc"): Proc(destination="/proc"),
    ("--dev", "/dev"): Dev(destination="/dev"),
    ("--mqueue", "/q"): Mqueue(destination="/q"),
    ("--dir", "/d"): Dir(destination="/d"),
    ("--perms", "0", "--dir", "/d"): Dir(destination="/d", mode=0),
    ("--symlink", "-x", "/l"): Symlink(target="-x", destination="/l"),
    ("--chmod", "4755", "/p"): Chmod(destination="/p", mode=0o4755),
    ("--remount-ro", "/"): RemountReadOnly(destination="/"),
    ("--overlay-src", "/1", "--overlay-src", "/2", "--overlay", "/rw", "/work", "/o"): Overlay(
        destination="/o", lower=("/1", "/2"), upper="/rw", work="/work"
    ),
    ("--overlay-src", "/1", "--tmp-overlay", "/o"): Overlay(destination="/o", lower=("/1",)),
    ("--overlay-src", "/1", "--overlay-src", "/2", "--ro-overlay", "/o"): Overlay(
        destination="/o", lower=("/1", "/2"), read_only=True
    ),
}


@pytest.mark.parametrize("words", ONE, ids=" ".join)
def test_an_option_is_one_operation_and_a_mount_namespace(words: tuple[str, ...]) -> None:
    made = spec(*words, "true")
    assert made.mounts == (ONE[words],)
    assert made.namespaces == {"mount"}
    assert made.rootfs is None


def test_every_operation_is_tried_here() -> None:
    assert {word for words in ONE for word in words if word in files._OPERATIONS} | {
        "--file",
        "--bind-data",
        "--ro-bind-data",
    } == set(files._OPERATIONS)


def test_operations_are_in_the_order_given_and_modifiers_are_for_one_alone() -> None:
    made = spec("--perms", "0700", "--dir", "/a", "--bind", "/x", "/b", "--dir", "/c", "-R", "/srv", "true")
    assert made.mounts == (
        Dir(destination="/a", mode=0o700),
        Bind(source="/x", destination="/b"),
        Dir(destination="/c"),
    )
    assert made.rootfs == "/srv"


@pytest.fixture
def content() -> Iterator[str]:
    """A descriptor from which two lines can be read, once."""
    reader, writer = os.pipe()
    os.write(writer, b"one\n\xff\n")
    os.close(writer)
    yield str(reader)
    os.close(reader)


@pytest.mark.parametrize(
    ("option", "mode", "bound", "read_only"),
    [("--file", 0o666, False, False), ("--bind-data", 0o600, True, False), ("--ro-bind-data", 0o600, True, True)],
)
@pytest.mark.parametrize("perms", [None, 0o444])
def test_what_a_descriptor_has_is_the_content(
    option: str, mode: int, bound: bool, read_only: bool, perms: int | None, content: str
) -> None:
    before = () if perms is None else ("--perms", f"{perms:o}")
    (made,) = spec(*before, option, content, "/f", "true").mounts
    assert made == File(
        destination="/f",
        content=b"one\n\xff\n",
        mode=mode if perms is None else perms,
        bound=bound,
        read_only=read_only,
    )


REFUSED = {
    ("--perms", "0700"): "--perms is for the option right after it, which is nothing",
    ("--perms", "0700", "--bind", "/", "/"): "--perms is for",
    ("--size", "1", "--dir", "/x"): "--size is for",
    ("--perms", "1", "--perms", "2", "--dir", "/x"): "twice",
    ("--size", "1", "--size", "2", "--tmpfs", "/x"): "twice",
    ("--perms", "8", "--dir", "/x"): "'8' is no mode",
    ("--perms", "17777", "--dir", "/x"): "'17777' is no mode",
    ("--chmod", "rwx", "/x"): "'rwx' is no mode",
    # bubblewrap tests/test-run.sh: "bogus tmpfs sizes"
    ("--size", "0", "--tmpfs", "/x"): "size of 0",
    ("--size", "bees", "--tmpfs", "/x"): "'bees' is no size",
    ("--size", "-1", "--tmpfs", "/x"): "'-1' is no size",
    ("--size", str(1 << 64), "--tmpfs", "/x"): "is no size",
    ("--size", str((1 << 63) + 1), "--tmpfs", "/x"): "is no size",
    ("--size", f"{1 << 40}G", "--tmpfs", "/x"): "is no size",
    ("--file", "x", "/f"): "'x' is no file descriptor",
    ("--file", "987654", "/f"): "Bad file descriptor",
    ("--file", "0", "/f", "--bind-data", "0", "/g"): "has been read",
    # bubblewrap tests/test-run.sh: overlay restrictions
    ("--overlay-src", "/1"): "--overlay-src is for",
    ("--overlay-src", "/1", "--bind", "/", "/"): "--overlay-src is for",
    ("--overlay", "/rw", "/work", "/o"): "too few",
    ("--tmp-overlay", "/o"): "too few",
    ("--overlay-src", "/1", "--ro-overlay", "/o"): "too few",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_makes_no_operation_is_refused(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    real = files.read_all
    monkeypatch.setattr(files, "read_all", lambda fd: real(fd) if fd else b"")
    assert REFUSED[words] in refusal(*words, "true")


def test_an_option_with_too_few_words_is_bad_input() -> None:
    assert "--bind" in complaint(run("--bind", "/"))


# ---- done ----

SYSTEM = ("--ro-bind", "/", "/")


@pytest.mark.needs_root
def test_the_root_is_what_the_options_make_of_it() -> None:
    options = ("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib")
    options += (
        "--ro-bind-try",
        "/lib64",
        "/lib64",
        "--ro-bind-try",
        "/no/such",
        "/no",
        "--perms",
        "0711",
        "--dir",
        "/d",
    )
    assert said(*options, "ls", "/").split() == ["bin", "d", "lib", "lib64", "usr"]
    assert said(*options, "stat", "-c", "%a", "/d") == "711\n"


@pytest.mark.needs_root
def test_files_have_the_content_of_descriptors() -> None:
    shell = f"{' '.join(RUN)} --ro-bind / / --tmpfs /tmp --file 5 /tmp/a --ro-bind-data 6 /tmp/b cat /tmp/a /tmp/b"
    command = f"exec 5< <(echo five) 6< <(echo six); {shell}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "five\nsix\n"), done


@pytest.mark.needs_root
def test_with_a_root_of_its_own_the_rest_is_added_to_it(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()
    text = said("-R", "/", "--bind", str(tmp_path), "/mnt", "sh", "-c", "ls /mnt; touch /mnt/new; ls -d /usr")
    assert text == "mark\n/usr\n"
    assert sorted(os.listdir(tmp_path)) == ["mark", "new"]


@pytest.mark.needs_root
@pytest.mark.needs("bwrap")
@pytest.mark.parametrize(
    "words",
    [
        (*SYSTEM, "--tmpfs", "/tmp", "--perms", "0700", "--dir", "/tmp/a/b", "stat", "-c%a %F", "/tmp/a", "/tmp/a/b"),
        (*SYSTEM, "--perms", "1777", "--size", "1048576", "--tmpfs", "/tmp", "stat", "-fc%b %S", "/tmp"),
        (*SYSTEM, "--tmpfs", "/tmp", "--symlink", "a b", "/tmp/c/l", "readlink", "/tmp/c/l"),
        (*SYSTEM, "--bind", "/usr", "/mnt", "--remount-ro", "/mnt", "sh", "-c", "test -w /mnt || echo ro"),
        (*SYSTEM, "--tmpfs", "/tmp", "--dir", "/tmp/d", "--chmod", "0123", "/tmp/d", "stat", "-c%a", "/tmp/d"),
        (*SYSTEM, "--dev", "/dev", "ls", "/dev"),
    ],
    ids=lambda words: " ".join(words[3:8]),
)
def test_an_option_of_bwrap_does_what_bwrap_does(words: tuple[str, ...]) -> None:
    theirs = subprocess.run(["bwrap", *words], capture_output=True, text=True, timeout=60)
    assert theirs.returncode == 0, theirs
    assert said(*words) == theirs.stdout
