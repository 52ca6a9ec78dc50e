"""The names of a uts namespace; they moved to nsview.host.content.uts."""

from nsview.host.content.uts import UtsNames, names_of

__all__ = ["UtsNames", "names_of"]
