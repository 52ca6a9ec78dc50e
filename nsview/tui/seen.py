"""Whether a widget is displayed, with all that it is in.

Widget.is_on_screen asks the compositor, which then takes the new layout for the old one: whoever comes into view by
it is not told so (events.Show). This looks at the styles alone.
"""

from __future__ import annotations

from textual.widget import Widget


def is_seen(widget: Widget) -> bool:
    """Tell whether a mounted widget, and every widget around it, is displayed."""
    return widget.is_attached and all(node.display for node in widget.ancestors_with_self if isinstance(node, Widget))
