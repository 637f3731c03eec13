"""What statements do to tables: by themselves, and by the triggers and functions that they set off."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.driver import Connection

# As PostgreSQL writes them: r SELECT, a INSERT, w UPDATE, d DELETE.
LETTERS: Final = {"INSERT": "a", "UPDATE": "w", "DELETE": "d"}
_TABLES: Final = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
"""
# What one does with the rights of whoever made it takes none of those who call it.
_FUNCTIONS: Final = """
    SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND NOT prosecdef
"""
_TRIGGERS: Final = """
    SELECT c.relname, p.proname, t.tgtype
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE NOT t.tgisinternal
"""
_BITS: Final = {"a": 4, "d": 8, "w": 16}
_COMMENT: Final = re.compile(r"--[^\n]*")
_TEXT: Final = re.compile(r"'[^']*'")
_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*")
_CHANGE: Final = re.compile(
    r"\b(INSERT)\s+INTO\s+(\w+)|\b(UPDATE)\s+(?!SET\b|SKIP\b|OF\b|NOWAIT\b)(\w+)|\b(DELETE)\s+FROM\s+(\w+)",
    re.IGNORECASE,
)
_UPSERT: Final = re.compile(
    r"\bINSERT\s+INTO\s+(\w+)(?:(?!\bINSERT\s+INTO\b).)*?\bDO\s+UPDATE\b", re.IGNORECASE | re.DOTALL
)
_LOCK: Final = re.compile(
    r"\bFOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|SHARE|KEY\s+SHARE)\b(?:\s+OF\s+(\w+(?:\s*,\s*\w+)*))?", re.IGNORECASE
)
_FROM: Final = re.compile(r"\bFROM\b", re.IGNORECASE)

Needs = Mapping[str, set[str]]


@dataclass(frozen=True)
class Catalogue:
    tables: frozenset[str]
    functions: Mapping[str, str]
    triggers: tuple[tuple[str, str, int], ...]

    @classmethod
    def read(cls, url: str) -> Catalogue:
        connection = Connection(url)
        try:
            tables, functions, triggers = (
                connection.run([(sql, {})])[0].rows for sql in (_TABLES, _FUNCTIONS, _TRIGGERS)
            )
        finally:
            connection.close()
        return cls(
            frozenset(name for name, *_ in tables),
            dict(functions),
            tuple((table, function, kind) for table, function, kind in triggers),
        )

    def needs(self, statements: Iterable[str]) -> Needs:
        found: dict[str, set[str]] = defaultdict(set)
        seen: set[str] = set()
        waiting = list(statements)
        while waiting:
            sql = waiting.pop()
            if sql in seen:
                continue
            seen.add(sql)
            for table, letter in self._direct(sql):
                found[table].add(letter)
                waiting += [
                    self.functions[name]
                    for on, name, kind in self.triggers
                    if on == table and letter in _BITS and kind & _BITS[letter]
                ]
            waiting += [self.functions[word] for word in set(_WORD.findall(_plain(sql))) if word in self.functions]
        return found

    def _direct(self, sql: str) -> Iterator[tuple[str, str]]:
        plain = _plain(sql)
        for words in _CHANGE.findall(plain):
            kind, table = [word for word in words if word]
            if table in self.tables:
                yield table, LETTERS[kind.upper()]
        for table in _UPSERT.findall(plain):
            if table in self.tables:
                yield table, "w"
        for table in set(_WORD.findall(plain)) & self.tables:
            yield table, "r"
        for lock in _LOCK.finditer(plain):
            yield from ((table, "w") for table in self._locked(_select(plain[: lock.start()]), lock[1] or ""))

    def _locked(self, select: str, of: str) -> Iterator[str]:
        """A lock on rows takes the right to change them."""
        (*_, sources) = _FROM.split(select)
        aliases = [alias.strip() for alias in of.split(",") if of]
        for table in set(_WORD.findall(sources)) & self.tables:
            named = rf"\b{table}\b(\s+(AS\s+)?({'|'.join(aliases)})\b)"
            if not aliases or table in aliases or re.search(named, sources, re.IGNORECASE):
                yield table


def _select(before: str) -> str:
    """The end of `before`, from where its last bracket opened, without what stands in brackets inside."""
    kept, depth = "", 0
    for letter in reversed(before):
        depth += {")": 1, "(": -1}.get(letter, 0)
        if depth < 0 or (depth == 0 and letter == ";"):
            break
        kept = letter + kept if depth == 0 else kept
    return kept


def _plain(sql: str) -> str:
    """Without comments and texts."""
    return _TEXT.sub("''", _COMMENT.sub("", sql))
