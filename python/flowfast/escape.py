"""Text that exporters chose (interface names, user names) on its way to people: nothing in it may steer a terminal or forge a line.

What is escaped: control characters (C0, DEL, C1: among them every ANSI escape sequence's first), characters that change the
direction of text (bidi) or are invisible, line separators, surrogates and noncharacters. Letters of any script stay as they are.
"""

import re

_UNSAFE = (
    "\x00-\x1f\x7f-\x9f"  # C0 controls, DEL, C1 controls
    "\u00ad\u061c\u180e"  # soft hyphen, Arabic letter mark, Mongolian vowel separator
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, bidi marks, line separators, bidi embeddings and isolates
    "\ufeff\ufff9-\uffff\ud800-\udfff"  # byte order mark, interlinear annotation, replacement of what was no text, surrogates
    "\U000e0000-\U000e0fff"  # tags and variation selectors
)
_UNSAFE_CHARACTER = re.compile(f"[{_UNSAFE}]")
_UNSAFE_IN_LINES = re.compile(f"(?!\n)[{_UNSAFE}]")


def printable(text: str, limit: int = 256) -> str:
    r"""The text on one line, of at most about `limit` characters, every unsafe one written as `\x1b`, `\u202e` or `\U000e0001`."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _UNSAFE_CHARACTER.sub(_escape, cut)


def printable_lines(text: str) -> str:
    """The same for text of several lines that flowfast itself has put together, of any length."""
    return _UNSAFE_IN_LINES.sub(_escape, text)


def printable_json(text: str) -> str:
    """JSON with the same value, in which the unsafe characters that JSON allows in strings are escaped."""
    return _UNSAFE_IN_LINES.sub(_json_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
