"""A picture of the screen as an SVG file, which belongs to the person who asked for it and not to root."""

from __future__ import annotations

import time
from pathlib import Path

from textual.app import App

from nsview.host.text import printable
from nsview.places import invoker, write


def keep(svg: str, now: float | None = None) -> Path:
    """Write a picture into the home directory, under a name that no file has yet; return where. Raises OSError."""
    stem = time.strftime("nsview-%Y%m%d-%H%M%S", time.localtime(now))
    home = invoker().home
    for attempt in range(100):
        path = home / (f"{stem}.svg" if not attempt else f"{stem}-{attempt}.svg")
        try:
            write(path, svg.encode(), anew=True)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{home} has a hundred pictures of this second")


def take(app: App[None]) -> None:
    """Keep a picture of the app's screen, and say where it is."""
    try:
        path = keep(app.export_screenshot(title="nsview"))
    except OSError as error:
        app.notify(f"No picture: {error.filename or 'the home directory'}: {error.strerror}", severity="error")
        return
    app.notify(f"Picture in {printable(str(path))}", markup=False)
