"""Profiles on the launch panel: saved and loaded exactly, by the command line too; what no row shows is kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from nsview import places
from nsview.cli import main
from nsview.options.profile import text_of
from nsview.tui.launching import profiles
from nsview.tui.launching.form import Form, FormError, Ids, Origin, filled, outlook, plain_spec
from nsview.tui.launching.presets import PRESETS
from nsview.tui.launching.sections import ON, ROWS
from spawner import IDMapping, Spec, SpecError
from spawner.oci import (
    Bind,
    Capabilities,
    File,
    IOPriority,
    Join,
    Keep,
    Mqueue,
    Overlay,
    Proc,
    Rlimit,
    Scheduler,
    TimeOffset,
    Tmpfs,
    User,
)
from spawner.saved.file import load, read_fields

ALL = frozenset({"mount", "network", "pid", "user", "uts", "ipc", "cgroup", "time"})


def of(**said: object) -> Form:
    """The form that shows these fields of a Spec."""
    return profiles.form_of({"args": ("sh",), **said})


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_preset_saved_and_loaded_is_the_same_form(preset: object, tmp_path: Path) -> None:
    form = replace(preset.form, hold=False)  # type: ignore[attr-defined]
    if os.getuid() == 0 and form.ids is Ids.SAME:
        form = replace(form, ids=Ids.ROOT)  # the same map for root
    profiles.save(form, tmp_path / "one.toml")
    assert profiles.read(tmp_path / "one.toml").form == form


OF_THE_MOMENT = ("--map-auto", "environment", "--map-user", "--map-group", "--join")
"""Saved as what they mean here and now: test_words_of_the_moment_are_saved_as_what_they_meant."""


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *(
            (row.key, row.example or ON)
            for row in ROWS.values()
            if row.key not in (*OF_THE_MOMENT, "--root", "--masquerade")
        ),
        ("--root", "/usr"),
        ("--groups", ","),
        ("--setgid", "7"),
        ("--memory", "1500"),
        ("--propagation", "unchanged"),
        ("--kill-child", "35"),
        ("capabilities", "cap-drop KILL"),
        ("files", "overlay-src /a\noverlay-src /b\nro-overlay /c\nsize 1M\ntmpfs /d\nchmod 700 /d"),
    ],
)
def test_every_row_is_shown_again_as_it_was_saved(key: str, text: str, tmp_path: Path) -> None:
    ids = Ids.ROOT if key == "capabilities" else Ids.NONE  # nobody has none to drop
    form = Form(namespaces=ALL, ids=ids).put(key, text)
    profiles.save(form, tmp_path / "one.json")
    assert profiles.read(tmp_path / "one.json").form == form


def test_words_of_the_moment_are_saved_as_what_they_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", {"PATH": "/bin", "HOME": "/h"})
    form = filled(
        Form(namespaces=ALL, ids=Ids.NONE),
        {"--map-user": "5", "--join": f"uts={os.getpid()}", "environment": "setenv A 'b c'"},
    )
    spec = plain_spec(replace(form, namespaces=ALL - {"uts"}))
    again = of(uid_mappings=spec.uid_mappings, env=spec.env, join=spec.join, namespaces=spec.namespaces)
    assert again.text("--map-users") == f"5,{os.geteuid()},1"
    assert again.text("environment") == "clearenv\nunsetenv PWD\nsetenv PATH /bin\nsetenv HOME /h\nsetenv A 'b c'"
    assert again.text("--join") == f"uts={os.getpid()}:{spec.join[0].identity}"
    assert not again.kept
    assert plain_spec(again).env == spec.env
    assert plain_spec(again).join == spec.join


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"scheduler": Scheduler(policy="SCHED_BATCH")}, {"scheduler"}),
        ({"io_priority": IOPriority("IOPRIO_CLASS_IDLE"), "personality": 8}, {"io_priority", "personality"}),
        ({"masked_paths": ("/proc/kcore",), "readonly_paths": ("/sys",)}, {"masked_paths", "readonly_paths"}),
        ({"rootfs_readonly": True}, {"rootfs_readonly"}),
        ({"exit_signal": 10}, {"exit_signal"}),
        ({"time_offsets": (("boottime", TimeOffset(1, 5)),), "namespaces": frozenset({"time"})}, {"time_offsets"}),
        ({"capabilities": Capabilities(bounding=frozenset({"CAP_KILL"}))}, {"capabilities"}),
        ({"join": (Join("uts", "/proc/4194303/ns/uts", 5),)}, {"join"}),
        ({"args": ("sh",), "argv0": ""}, {"argv0"}),
    ],
)
def test_what_no_row_shows_is_kept_and_launched(said: dict[str, object], kept: set[str]) -> None:
    form = of(**said)
    assert {name for name, _ in form.kept} == kept
    made = plain_spec(form)
    for name, value in said.items():
        assert getattr(made, name) == value
    assert plain_spec(replace(form, kept=())) != made


def test_files_from_a_descriptor_are_kept_and_what_comes_after_them_is_shown() -> None:
    mounts = (Proc(destination="/proc"), File(destination="/f", content=b"x"), Mqueue(destination="/q"))
    form = of(mounts=mounts, namespaces=frozenset({"mount"}))
    assert dict(form.kept) == {"mounts": mounts[:2]}
    assert form.text("files") == "mqueue /q"
    assert plain_spec(form).mounts == mounts


def test_a_profile_full_of_everything_is_shown_in_full() -> None:
    spec = Spec(
        args=("sh", "-c", "echo 'a b'"),
        namespaces=frozenset({"mount", "user", "uts", "pid"}),
        keep=(Keep("uts", "/run/u"),),
        hostname="h",
        uid_mappings=(IDMapping(0, 100000, 10), IDMapping(10, 5)),
        gid_mappings=(IDMapping(0, 100000, 10),),
        setgroups="deny",
        user=User(uid=3, gid=4, additional_gids=(), umask=0o27),
        mounts=(
            Bind(source="/a b", destination="/c", read_only=True, optional=True),
            Bind(source="/dev/null", destination="/n", devices=True),
            Tmpfs(destination="/t", size=3 << 20, mode=0o1777),
            Overlay(destination="/o", lower=("/1", "/2"), upper="/u", work="/w"),
        ),
        rlimits=(Rlimit("RLIMIT_CORE", 0, None), Rlimit("RLIMIT_NOFILE", 5, 5)),
        no_new_privs=True,
        init=True,
        pdeathsig=15,
    )
    form = profiles.form_of(read_text(text_of(spec, "x.toml")))
    assert not form.kept
    assert form.command == "sh -c 'echo '\"'\"'a b'\"'\"''"
    assert form.text("files").splitlines() == [
        "ro-bind-try '/a b' /c",
        "dev-bind /dev/null /n",
        "perms 1777",
        "size 3M",
        "tmpfs /t",
        "overlay-src /1",
        "overlay-src /2",
        "overlay /u /w /o",
    ]
    assert form.text("--rlimit") == "CORE=0:unlimited NOFILE=5"
    assert form.text("--umask") == "027"
    assert form.text("--kill-child") == "TERM"
    assert plain_spec(form) == spec


def read_text(text: str) -> dict[str, object]:
    """The fields that a text sets."""
    path = places.config_directory() / "text.toml"
    places.write(path, text.encode())
    return dict(read_fields(str(path)))


def test_a_saved_form_is_what_the_command_line_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nsview.tui.launching.form import words_of

    form = filled(
        Form(command="sh -c 'exit 3'", namespaces=frozenset({"uts", "user"})),
        {"--hostname": "box", "--rlimit": "CORE=0", "files": "ro-bind / /", "capabilities": "cap-drop ALL"},
    )
    profiles.save(form, tmp_path / "panel.toml")
    words = words_of(form)
    assert main(["run", "--save-profile", str(tmp_path / "line.toml"), "--dry-run", *words]) == 0
    assert (tmp_path / "panel.toml").read_text() == (tmp_path / "line.toml").read_text()


@pytest.mark.needs("root")
def test_a_saved_form_is_run_by_the_command_line(tmp_path: Path) -> None:
    profiles.save(Form(command="sh -c 'exit 3'", namespaces=frozenset({"uts"})), tmp_path / "one.json")
    assert main(["run", "--profile", str(tmp_path / "one.json")]) == 3


def test_the_program_here_has_a_terminal_whatever_the_profile_says() -> None:
    found = outlook(of(stdio="null"), Origin(env={"PATH": "/bin"}))
    assert found.spec is not None
    assert found.spec.stdio == "pty"


def test_names_are_files_in_the_profiles_directory_and_paths_are_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    where = places.config_directory() / "profiles"
    assert profiles.path_of(" web ") == where / "web.toml"
    assert profiles.path_of("web.json") == where / "web.json"
    assert profiles.path_of("my.web") == where / "my.web.toml"
    assert profiles.path_of("./web") == Path("web")
    assert profiles.path_of("/etc/web.conf") == Path("/etc/web.conf")
    assert profiles.path_of("~/web.toml") == places.invoker().home / "web.toml"


def test_saved_profiles_are_listed_and_never_written_over_by_mistake() -> None:
    assert profiles.saved() == []
    path = profiles.path_of("b")
    profiles.save(Form(command="one"), path)
    profiles.save(Form(), profiles.path_of("a.json"))
    (path.parent / "notes.txt").touch()
    assert profiles.saved() == ["a.json", "b.toml"]
    with pytest.raises(FileExistsError):
        profiles.save(Form(command="two"), path)
    assert load(path).args == ("one",)
    profiles.save(Form(command="two"), path, over=True)
    assert load(path).args == ("two",)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "nonsense", "args = 5", "version = 9", "[unknown]\n"])
def test_a_file_that_is_no_profile_is_refused_by_its_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(content)
    if not content:
        assert profiles.read(path).form == Form()
        return
    with pytest.raises(SpecError, match=r"bad\.toml"):
        profiles.read(path)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for name, why in (
        ("none", "No such file"),
        ("pipe", "no regular file"),
        ("", "no regular file"),
        ("bytes.toml", "UTF-8"),
    ):
        with pytest.raises(SpecError, match=why):
            profiles.read(tmp_path / name)


def test_a_form_that_cannot_be_read_is_not_saved(tmp_path: Path) -> None:
    for form in (Form(command="'"), Form().put("--memory", "x")):
        with pytest.raises(FormError):
            profiles.save(form, tmp_path / "one.toml")
    assert os.listdir(tmp_path) == []
