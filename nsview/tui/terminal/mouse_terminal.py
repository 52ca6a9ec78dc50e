"""A terminal and the mouse: the program's where it asks for it, else for looking back, selecting and copying."""

from __future__ import annotations

from bittty import constants
from bittty.devices.modes import MouseProtocol
from textual import events
from textual_tty import Terminal

from nsview.tui.terminal.looking_back import LookingBack

WHEEL = 3
"""Lines per notch of the wheel."""

_BUTTONS = {
    1: constants.MOUSE_BUTTON_LEFT,
    2: constants.MOUSE_BUTTON_MIDDLE,
    3: constants.MOUSE_BUTTON_RIGHT,
}


class MouseTerminal(Terminal):  # type: ignore[misc]  # textual-tty has no types
    """What a :class:`~nsview.tui.terminal.terminal.ChildTerminal` does with the mouse."""

    looking: LookingBack

    def action_look_lines(self, back: int) -> None:
        """Go so many lines back, or on."""
        raise NotImplementedError

    @property
    def allow_select(self) -> bool:
        """A drag of the mouse selects, but where the program wants the mouse."""
        return not self.wants_mouse

    @property
    def wants_mouse(self) -> bool:
        """Whether the program asked for the mouse; while a person looks back it does not get it."""
        return self.board.modes.mouse_protocol is not MouseProtocol.OFF and not self.looking.active

    def _input_mouse(self, event: events.MouseEvent, button: int, event_type: str) -> None:
        """Report the mouse to the program, as far as it asked for that."""
        if not self.wants_mouse:
            return
        held = {name for name in ("shift", "meta", "ctrl") if getattr(event, name)}
        x = min(max(event.x, 0), self.board.width - 1) + 1
        y = min(max(event.y, 0), self.board.height - 1) + 1
        mouse = self.board.mouse
        if event_type != "move" or (x, y) != (mouse.x, mouse.y):  # as xterm: from cell to cell, not within one
            self.board.input_mouse(x, y, button, event_type, held)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A drag that begins here is the program's until the button is let go, also outside."""
        event.prevent_default()
        if self.wants_mouse and event.button in _BUTTONS:
            self.capture_mouse()
            self._input_mouse(event, _BUTTONS[event.button], "press")

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End the program's drag; or copy what was selected."""
        event.prevent_default()
        if self.app.mouse_captured is self:
            self.release_mouse()
        if self.wants_mouse and event.button in _BUTTONS:
            self._input_mouse(event, _BUTTONS[event.button], "release")
        elif self.text_selection is not None and (text := self.screen.get_selected_text()):
            self.app.copy_to_clipboard(text)
            lines = text.count("\n") + 1
            self.notify(f"Copied {len(text)} characters{f' in {lines} lines' if lines > 1 else ''}.", timeout=2)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Report motion; the pointer shows no links."""
        event.prevent_default()
        self._input_mouse(event, constants.MOUSE_BUTTON_MOVEMENT, "move")

    def _wheel(self, event: events.MouseEvent, button: int, arrow: str) -> None:
        """The wheel: the program's if it asked for the mouse, arrow keys in the alternate screen, else looking back."""
        event.stop()
        event.prevent_default()
        if self.wants_mouse:
            self._input_mouse(event, button, "press")
        elif self.board.blitter.in_alt_screen:
            for _ in range(WHEEL):
                self.board.input_key(arrow)
        else:
            self.action_look_lines(WHEEL if arrow == "up" else -WHEEL)

    def on_click(self, event: events.Click) -> None:
        """Do not follow links: the program chose them, and the browser would run as us."""
        event.prevent_default()
