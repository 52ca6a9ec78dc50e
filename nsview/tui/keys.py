"""Every key of the app in one table, which bindings, footer and help read. Panes have keys of their own besides."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding

from nsview.tui.acting.table import ACTS

LEAVE_TERMINAL = "ctrl+right_square_bracket"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: Textual's name of it, the app's action, a name to remap it by, its word in the footer, what it does.

    Only those with ``footer`` are shown there; the others are in the help and the palette. A key that moves the
    focus goes ``first``: it acts before a key typed right after it is given to whoever has the focus then.
    """

    keys: str
    action: str
    id: str
    label: str
    does: str
    footer: bool = False
    display: str | None = None
    first: bool = False


KEYS: tuple[Key, ...] = (
    Key("1", "pane('tree')", "pane.tree", "Tree", "the tree of processes", first=True),
    Key("2", "pane('diff')", "pane.diff", "Diff", "how the child differs from its parent", first=True),
    Key("3", "pane('namespaces')", "pane.namespaces", "Namespaces", "namespaces, and what is inside", first=True),
    Key("4", "pane('launch')", "pane.launch", "Launch", "the launch panel", first=True),
    Key(
        "5",
        "pane('terminal')",
        "pane.terminal",
        "Terminal",
        "the terminal of the launched program",
        first=True,
    ),
    Key("6", "pane('timeline')", "pane.timeline", "Timeline", "what the launch did, step by step", first=True),
    Key("8", "pane('security')", "pane.security", "Security", "what the process could still do", first=True),
    Key("7", "pane('events')", "pane.events", "Events", "what happens to processes, as it happens", first=True),
    Key("9", "pane('labs')", "pane.labs", "Labs", "experiments on fork and clone, run step by step", first=True),
    Key("N", "inspect", "namespaces.inspect", "Inspect", "the namespaces of the process under the cursor"),
    Key("n", "new", "launch.new", "New", "fill in a new launch", footer=True, first=True),
    Key(
        "f5,ctrl+r",
        "launch",
        "launch.go",
        "Launch",
        "launch what the panel says",
        footer=True,
        display="F5",
        first=True,
    ),
    Key(
        "f6",
        "launch_stopped",
        "launch.stopped",
        "Launch, stop",
        "launch what the panel says, held before its first step",
        display="F6",
        first=True,
    ),
    Key("s", "step", "launch.step", "Step", "let a held child do one step", footer=True),
    Key("r", "resume", "launch.resume", "Run", "let a held child go on to the program", footer=True),
    *(
        Key(act.keys, f"act('{act.name}')", f"act.{act.name}", act.label, act.sentence, act.footer, act.display)
        for act in ACTS
    ),
    Key(
        "D",
        "compare_marked",
        "diff.compare",
        "Compare",
        "compare two that are tagged, or the marked with the one under the cursor",
    ),
    Key("left_square_bracket", "child(-1)", "child.previous", "Previous", "the launch before", display="["),
    Key("right_square_bracket", "child(1)", "child.next", "Next", "the launch after", display="]"),
    Key(
        "x",
        "close_child",
        "child.close",
        "Close",
        "close a launch that has ended, give up one that is held",
    ),
    Key("z,f11", "zoom", "pane.zoom", "Zoom", "the pane alone, or all of them again", display="z"),
    Key("p", "pause", "screen.pause", "Pause", "let the picture stand still, or live again"),
    Key(
        "y",
        "copy",
        "process.copy",
        "Copy",
        "copy about the process: number, command line, nsenter's; where a launch is: as Y",
    ),
    Key("Y", "copy_as", "launch.copy", "Copy as", "the launch in other words: unshare, bwrap, docker, C, Python"),
    Key("ctrl+o", "jump", "screen.jump", "Jump", "letters over all that can have the keys; typing one goes there"),
    Key("f10", "picture", "screen.picture", "Picture", "a picture of the screen, as an SVG file"),
    Key("question_mark,f1", "help", "screen.help", "Help", "help on the pane", footer=True, display="?"),
    Key(
        LEAVE_TERMINAL,
        "leave_terminal",
        "terminal.leave",
        "Leave terminal",
        "in the terminal: give the keys back to nsview",
        footer=True,
        display="Esc Esc",
        first=True,
    ),
    Key(
        "f12",
        "full_screen",
        "terminal.full_screen",
        "Full screen",
        "in the terminal: it alone on the whole screen, and back",
        footer=True,
        display="F12",
        first=True,
    ),
    Key("q", "quit", "app.quit", "Quit", "end all launched programs and leave", footer=True),
)


def bindings() -> list[Binding]:
    """Return the table as Textual's bindings."""
    return [
        Binding(
            key.keys,
            key.action,
            key.label,
            show=key.footer,
            key_display=key.display,
            priority=key.first,
            tooltip=key.does,
            id=key.id,
        )
        for key in KEYS
    ]


def help_text() -> str:
    """Return the table as Markdown."""
    lines = ["| key | does |", "|---|---|"]
    for key in KEYS:
        shown = key.display or key.keys.split(",")[0]
        others = [name for name in key.keys.split(",")[1:] if not name.endswith("_mark")]
        lines.append(f"| {' '.join([f'`{shown}`', *(f'`{name}`' for name in others)])} | {key.does} |")
    return "\n".join(lines)
