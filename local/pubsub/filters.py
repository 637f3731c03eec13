"""The filter language: clauses on attributes, each perhaps negated, joined by AND.

https://cloud.google.com/pubsub/docs/subscription-message-filter. `OR` and parentheses are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

Predicate = Callable[[Mapping[str, str]], bool]

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_KEY: Final = rf"(?:[A-Za-z_][\w-]*|{_STRING})"
_CLAUSE: Final = re.compile(
    rf"""
    \s* (?P<negation> NOT\s+ | - )?
    (?:
        attributes : (?P<present>{_KEY})
      | attributes \. (?P<key>{_KEY}) \s* (?P<operator> !?= ) \s* (?P<value>{_STRING})
      | hasPrefix \( \s* attributes \. (?P<prefixed>{_KEY}) \s* , \s* (?P<prefix>{_STRING}) \s* \)
    )
    (?: \s+ AND \s+ (?=\S) | \s* $ )
    """,
    re.VERBOSE,
)


def parse(text: str) -> Predicate:
    """Returns the test a subscription puts to a message's attributes; an empty filter lets all pass.

    Raises ValueError if the text is outside the language.
    """
    clauses: list[Predicate] = []
    position = 0
    while position < len(text):
        found = _CLAUSE.match(text, position)
        if found is None:
            raise ValueError(f"The filter cannot be parsed at: {text[position:]}")
        clauses.append(_predicate(found))
        position = found.end()
    return lambda attributes: all(clause(attributes) for clause in clauses)


def _predicate(found: re.Match[str]) -> Predicate:
    accepts = _positive(found)
    if found["negation"]:
        return lambda attributes: not accepts(attributes)
    return accepts


def _positive(found: re.Match[str]) -> Predicate:
    if found["present"]:
        present = _unquote(found["present"])
        return lambda attributes: present in attributes
    if found["key"]:
        key, value, equal = _unquote(found["key"]), _unquote(found["value"]), found["operator"] == "="
        return lambda attributes: (attributes.get(key) == value) == equal
    prefixed, prefix = _unquote(found["prefixed"]), _unquote(found["prefix"])
    return lambda attributes: prefixed in attributes and attributes[prefixed].startswith(prefix)


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
