"""A step's arguments in C: numbers with their names, strings, structs, memory for the kernel to write to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from spawner.plan import Argument, At, Named, Out, Packed, Result, Slot, Strings, Text

_TYPES = {
    "I": "uint32_t",
    "i": "int32_t",
    "Q": "uint64_t",
    "q": "int64_t",
    "H": "uint16_t",
    "h": "int16_t",
    "B": "uint8_t",
    "b": "int8_t",
}
"""Of the struct module's format characters."""

_TEXT_MOST = 400
"""Bytes up to which a content of printable letters is written as a string."""


def string(raw: bytes) -> str:
    """A C string literal; a NUL in it is written out, the one at its end is C's."""
    return '"' + "".join(map(_in_string, raw)) + '"'


def _in_string(byte: int) -> str:
    if byte == 10:
        return "\\n"
    if byte in (34, 92, 63):  # 63: two question marks would begin a trigraph
        return "\\" + chr(byte)
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


def comment(text: str) -> str:
    """A text that may stand in a comment."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return re.sub(r"\*/|/\*", lambda found: found[0][0] + " " + found[0][1], clean)


def number(value: int) -> str:
    """An argument of syscall(2): as wide as a register."""
    shown = f"{value}L" if -(1 << 31) <= value < 1 << 16 else f"{value & (1 << 64) - 1:#x}UL"
    return f"{shown} /* {comment(value.text)} */" if isinstance(value, Named) and not _is_digits(value.text) else shown


def _is_digits(text: str) -> bool:
    return text.lstrip("-").isdigit()


@dataclass(slots=True)
class Data:
    """What a step needs beside its call: ``declared`` once, ``assigned`` right before."""

    prefix: str
    declared: list[str] = field(default_factory=list)
    assigned: list[str] = field(default_factory=list)
    _count: int = 0

    def argument(self, value: Argument) -> str:
        """An argument as a C expression."""
        match value:
            case int():
                return number(value)
            case Result(step=step):
                return f"result[{step}]"
            case Slot(name=name):
                return slot(name)
            case str():
                return string(os.fsencode(value))
            case bytes():
                return self.bytes_of(value)
            case Strings(values=values):
                name = self._name()
                words = "".join(f"    (char *){string(word)},\n" for word in values)
                self.declared.append(f"static char *const {name}[] = {{\n{words}    NULL,\n}};")
                return name
            case Packed():
                return f"&{self.struct(value)}"
            case Out(size=size, begins=begins):
                name = self._name()
                self.declared.append(f"static char {name}[{size}]{f' = {string(begins)}' if begins else ''};")
                return name
            case Text(name=unknown):
                raise ValueError(f"{unknown} is known only to the engine")

    def bytes_of(self, raw: bytes) -> str:
        """Bytes, as a string where they read as one, else as an array of its own."""
        if len(raw) <= _TEXT_MOST and all(32 <= byte < 127 or byte in (0, 10) for byte in raw):
            return string(raw.removesuffix(b"\0"))
        name = self._name()
        rows = [raw[at : at + 16] for at in range(0, len(raw), 16)]
        text = "".join("    " + " ".join(f"{byte:#04x}," for byte in row) + "\n" for row in rows)
        self.declared.append(f"static const unsigned char {name}[{len(raw)}] = {{\n{text}}};")
        return name

    def struct(self, packed: Packed) -> str:
        """The name of a struct with these fields."""
        name = self._name()
        members: list[str] = []
        for at, (layout, value) in enumerate(packed.fields()):
            member = f"f{at}"
            size = layout[:-1] or "1"
            if layout.endswith(("s", "x")):
                members.append(f"char {member}[{size}];")
            else:
                members.append(f"{_TYPES[layout[-1]]} {member};")
            place = f"{name}.{member}"
            match value:
                case None:
                    pass
                case Slot(name=known):
                    self.assigned.append(f"{place} = {slot(known)};")
                case Result(step=step) if layout.endswith("s"):
                    self.assigned.append(f'snprintf({place}, sizeof {place}, "%ld", result[{step}]);')
                case Result(step=step):
                    self.assigned.append(f"{place} = ({_TYPES[layout[-1]]})result[{step}];")
                case At(data=data):
                    target = self.bytes_of(data) if isinstance(data, bytes) else f"&{self.struct(data)}"
                    self.assigned.append(f"{place} = (uint64_t)(uintptr_t){target};")
                case bytes():
                    if value.strip(b"\0"):
                        self.assigned.append(f"memcpy({place}, {self.bytes_of(value)}, {min(len(value), int(size))});")
                case plain:
                    if plain:
                        self.assigned.append(f"{place} = {plain & (1 << 64) - 1:#x};")
        self.declared.append(f"static struct {{ {' '.join(members)} }} __attribute__((packed)) {name};")
        self.assigned.insert(0, f"/* {comment(packed.shown)} */")
        return name

    def _name(self) -> str:
        self._count += 1
        return f"{self.prefix}_{self._count}"


def slot(name: str) -> str:
    """The C variable of what is known only at the launch."""
    return re.sub(r"[^a-z0-9]+", "_", f"the {name}".lower())
