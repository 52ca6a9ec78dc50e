"""Overlays: written to a directory, to a tmpfs, or not at all; odd paths; what is made in them stays in them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from rooms import entries, room
from running import output, shell

from spawner import LaunchError, launch
from spawner.oci import Bind, Chmod, Dir, File, Overlay, Symlink, Tmpfs

pytestmark = pytest.mark.needs_root


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """Directories low, high, upper and work on a file system that overlayfs takes."""
    for name in ("low", "high", "upper", "work"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
        (tmp_path / name / "which").write_text(name)
    (tmp_path / "work" / "work").unlink()
    (tmp_path / "work" / "which").unlink()
    return tmp_path


def over(layers: Path, *lower: str, **fields: object) -> Overlay:
    return Overlay(destination="/o", lower=tuple(str(layers / name) for name in lower), **fields)  # type: ignore[arg-type]


# bubblewrap tests/test-run.sh "--overlay"
def test_an_overlay_writes_to_its_upper_directory(layers: Path) -> None:
    overlay = over(layers, "low", "high", upper=str(layers / "upper"), work=str(layers / "work"))
    script = "ls /o; cat /o/which; echo new > /o/low; rm /o/high"
    assert output(room(script, overlay)).split() == ["high", "low", "upper", "which", "upper"]
    assert (layers / "upper" / "low").read_text() == "new\n"
    assert (layers / "low" / "low").read_text() == ""


# bubblewrap tests/test-run.sh "--tmp-overlay"
def test_an_overlay_on_a_tmpfs_leaves_the_host_alone(layers: Path) -> None:
    before = entries(layers)
    overlay = over(layers, "low", "high")
    script = "ls /o; cat /o/which; echo new > /o/low; rm /o/high /o/which; ls /o; cat /o/low"
    assert output(room(script, overlay)).split() == ["high", "low", "which", "highlow", "new"]
    assert entries(layers) == before


# bubblewrap tests/test-run.sh "--ro-overlay"
def test_a_read_only_overlay_cannot_be_written(layers: Path) -> None:
    overlay = over(layers, "low", "high", read_only=True)
    assert output(room("ls /o; touch /o/x || echo no", overlay)).split() == ["high", "low", "which", "no"]


# bubblewrap tests/test-run.sh "--overlay path escaping"
@pytest.mark.parametrize(
    "name", ["a:b", "a,b", "a\\b", 'a"b', r"a\:b,c\,d\\", "a=b", "ü:\x80".encode("utf-8", "replace").decode()]
)
def test_odd_paths_of_an_overlay_are_taken_as_they_are(name: str, layers: Path) -> None:
    odd = layers / name
    for part in ("low", "upper", "work"):
        (odd / part).mkdir(parents=True)
    (odd / "low" / "found").touch()
    script = "ls /o; touch /o/made"
    overlay = Overlay(
        destination="/o",
        lower=(str(layers / "low"), str(odd / "low")),
        upper=str(odd / "upper"),
        work=str(odd / "work"),
    )
    assert output(room(script, overlay)).split() == ["found", "low", "which"]
    assert [path.name for path in (odd / "upper").iterdir()] == ["made"]


def test_long_paths_of_an_overlay_are_taken(layers: Path) -> None:
    deep = layers / "/".join(["x" * 100] * 5)
    deep.mkdir(parents=True)
    (deep / "found").touch()
    assert output(room("ls /o", Overlay(destination="/o", lower=(str(deep), str(layers / "low"))))).split() == [
        "found",
        "low",
        "which",
    ]


def test_an_overlay_can_be_the_root(layers: Path) -> None:
    before = entries(layers)
    for name in ("usr", "bin", "lib64", "lib"):
        (layers / "high" / name).mkdir() if name == "usr" else (layers / "high" / name).symlink_to(f"usr/{name}")
    before = entries(layers)
    mounts = (
        Overlay(destination="/", lower=(str(layers / "low"), str(layers / "high"))),
        Bind(source="/usr", destination="/usr"),
        Dir(destination="/made/here"),
        File(destination="/made/file", content=b"x"),
        Symlink(target="low", destination="/link"),
        Tmpfs(destination="/tmp"),
        Chmod(destination="/made/here", mode=0o700),
    )
    spec = shell("ls / /made; stat -c %a /made/here; touch /x", namespaces=frozenset({"mount"}), mounts=mounts)
    assert output(spec).split() == [
        *("/:", "bin", "high", "lib", "lib64", "link", "low", "made", "tmp", "usr", "which"),
        *("/made:", "file", "here", "700"),
    ]
    assert entries(layers) == before


def test_what_is_made_in_an_overlay_stays_in_it(layers: Path, nothing_left: object) -> None:
    # A link in the lower directory leads to a bind of the host's: nothing may be made there.
    outside = layers / "outside"
    outside.mkdir()
    (layers / "low" / "leak").symlink_to("/d")
    (layers / "low" / "up").symlink_to("../d")
    mounts = (Bind(source=str(outside), destination="/d"), over(layers, "low", "high"))
    for name in ("leak", "up"):
        for operation in (
            Dir(destination=f"/o/{name}/x/y"),
            File(destination=f"/o/{name}/x"),
            Symlink(target="x", destination=f"/o/{name}/x"),
            Chmod(destination=f"/o/{name}", mode=0o700),
        ):
            with pytest.raises(LaunchError) as caught:
                launch(room("true", *mounts, operation))
            assert caught.value.errno == errno.EXDEV
    assert list(outside.iterdir()) == []
    assert (outside.stat().st_mode & 0o777) != 0o700


def test_a_link_in_an_overlay_is_looked_at(layers: Path, nothing_left: object) -> None:
    (layers / "low" / "link").symlink_to("target")
    same = room("readlink /o/link", over(layers, "low", "high"), Symlink(target="target", destination="/o/link"))
    assert output(same) == "target\n"
    other = room("true", over(layers, "low", "high"), Symlink(target="other", destination="/o/link"))
    with pytest.raises(LaunchError, match="target"):
        launch(other)
