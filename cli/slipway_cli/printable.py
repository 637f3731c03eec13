from __future__ import annotations


def printable(text: str) -> str:
    """Returns the text without what could move a terminal's cursor: much of what is shown was named by strangers."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
