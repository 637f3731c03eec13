"""What a check does about what it found. It marks rows and queues; nothing is deleted here, and no link is made.

A damaged blob is answered as if it were not there, so that a client pushes it again. Each finding is looked at once
more before anything is done about it. Each act may be done twice: whoever was killed before it was noted does it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from functions.migrate.checks.digests import differs
from functions.migrate.checks.rows import missing_references
from functions.migrate.checks.working import Work, advance
from functions.registry import telemetry
from functions.registry.metadata.access import audit
from functions.registry.metadata.access.audit import Event
from functions.registry.metadata.checks import checks, leaks, manifests, mending, objects, repairs
from functions.registry.metadata.checks.mending import Noted
from functions.registry.metadata.checks.pieces import Piece
from functions.registry.metadata.checks.vocabulary import DAMAGED_BLOBS, Action, Kind
from functions.registry.metadata.content import blobs
from functions.registry.metadata.db import Call
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import Manifest, parse_manifest

_TOGETHER: Final = 200
_MENDED: Final[tuple[Kind, ...]] = (
    *DAMAGED_BLOBS,
    "marked",
    "manifest",
    "references",
    "leaked_manifest",
    "leaked_link",
    "leaked_blob",
)
# More than so many of a hundred, and more than so many, are no single objects: somebody has taken a part of the bucket.
_MOST_PERCENT: Final = 1
_MOST: Final = 20


class TooMuchIsGone(Exception):
    """The message says how much, and what to do before anything is marked."""


def repair(work: Work, piece: Piece) -> bool:
    """Returns False if the time was over before the end. Raises TooMuchIsGone, BlobStoreUnavailable and PieceLost."""
    options, after = work.check.options, int(piece.cursor or 0)
    kinds: list[Kind] = [*_MENDED] if options.get("repair") else []
    if options.get("delete_unknown"):
        kinds.append("unknown")
    if options.get("repair") and not piece.cursor:
        _guard(work)
    is_dry = bool(options.get("dry_run"))
    while noted := mending.to_mend(work.database, piece.check_id, kinds, after, _TOGETHER):
        after = noted[-1].id
        done: Counter[str] = Counter()
        calls: list[Call[Any]] = []
        if is_dry:
            done.update(f"would_be_{_ACTIONS[each.kind]}" for each in noted)
        else:
            calls = _mend(work, noted, done)
        advance(work, piece, str(after), [*calls, checks.counting(piece.check_id, done)])
        _tell(work, done)
        if work.is_late():
            return False
    return True


def _guard(work: Work) -> None:
    check = checks.get(work.database, work.check.id) or work.check
    looked, there = check.counts.get("blobs", 0), check.counts.get("objects", 0)
    lost = mending.count_unmarked(work.database, check.id)
    if looked and not there:
        raise TooMuchIsGone(f"none of {looked} objects is there: is it the right bucket? Nothing was marked")
    if lost > _MOST and lost * 100 > looked * _MOST_PERCENT and not check.options.get("yes"):
        raise TooMuchIsGone(
            f"{lost} of {looked} blobs are damaged: restore the bucket's deleted objects first (docs/fsck.md), or say"
            " --yes. Nothing was marked"
        )


_ACTIONS: Final[dict[Kind, Action]] = {
    **dict.fromkeys(DAMAGED_BLOBS, "marked"),
    "marked": "unmarked",
    "manifest": "marked",
    "references": "written",
    "leaked_manifest": "reviewed",
    "leaked_link": "reviewed",
    "leaked_blob": "reviewed",
    "unknown": "queued",
}


def _mend(work: Work, noted: Sequence[Noted], done: Counter[str]) -> list[Call[Any]]:
    """Does it, and returns what notes that it was done."""
    mended: dict[Kind, list[Noted]] = {}
    for each in noted:
        mended.setdefault(each.kind, []).append(each)
    calls: list[Call[Any]] = []
    for kind, those in mended.items():
        if kind in DAMAGED_BLOBS:
            acted, is_gone = _mark(work, those), False
        elif kind == "marked":
            acted, is_gone = [each for each in those if _unmark(work, each)], True
        elif kind == "manifest":
            work.database.batch(manifests.marking([int(each.subject) for each in those]))
            acted, is_gone = those, False
        elif kind == "references":
            acted, is_gone = [each for each in those if _write(work, each)], True
        elif kind == "unknown":
            acted, is_gone = _queue(work, those), True
        else:
            work.database.batch([_reviewing(kind, those)])
            acted, is_gone = those, True
        done[_ACTIONS[kind]] += len(acted)
        calls.append(mending.acting([each.id for each in acted], _ACTIONS[kind], is_gone=is_gone))
    return calls


def _mark(work: Work, noted: Sequence[Noted]) -> list[Noted]:
    """Unless the object is whole by now, for somebody has restored it; the blob may have another one meanwhile, too."""
    looks = objects.look(work.database, [each.subject for each in noted])
    stored = work.pool.map(lambda each: work.patiently(lambda: work.store.find(each.subject)), noted)
    acted = []
    for each, there in zip(noted, stored, strict=True):
        row = looks[each.subject]
        if row.digest is None or row.digest != each.digest:
            continue
        is_restored = each.kind == "missing" and there is not None and there.size == row.size
        if not is_restored:
            blobs.mark(work.database, row.digest, each.subject)
            acted.append(each)
    return acted


def _unmark(work: Work, noted: Noted) -> bool:
    """Unmarks the blob if the object has its bytes, which are read and hashed."""
    digest = noted.digest
    if digest is None or differs(work, digest, noted.subject):
        return False
    if work.patiently(lambda: work.store.find(noted.subject)) is None:
        return False
    repairs.unmark(work.database, digest, noted.subject)
    return True


def _queue(work: Work, noted: Sequence[Noted]) -> list[Noted]:
    """Returns those that are explained now, by this or by what came between."""
    names = [each.subject for each in noted]
    repairs.queue(work.database, names, [each.size for each in noted])
    looks = objects.look(work.database, names)
    return [each for each in noted if looks[each.subject].is_known]


def _write(work: Work, noted: Noted) -> bool:
    """Returns True if all that it refers to is kept now. What its repository doesn't hold has to be pushed there."""
    id_ = int(noted.subject)

    def missing() -> tuple[list[Digest], Manifest] | None:
        page = manifests.after(work.database, id_ - 1, id_, 1, 0)
        if not page or page[0].payload is None:
            return None
        manifest = parse_manifest(page[0].payload, page[0].media_type)
        return missing_references(page[0], manifest), manifest

    if (before := missing()) is None:
        return False
    wanted, manifest = before
    children = [digest for digest in wanted if digest in {*manifest.child_digests, *manifest.listed_digests}]
    work.database.batch(manifests.writing(id_, [each for each in wanted if each not in children], children))
    left = missing()
    return left is not None and not left[0]


def _reviewing(kind: Kind, noted: Sequence[Noted]) -> Call[int]:
    if kind == "leaked_manifest":
        return leaks.reviewing_manifests([int(each.subject) for each in noted])
    if kind == "leaked_link":
        pairs = [each.subject.partition("/") for each in noted]
        return leaks.reviewing_links([(int(id_), Digest.parse(digest)) for id_, _, digest in pairs])
    return leaks.reviewing_blobs([Digest.parse(each.subject) for each in noted])


def _tell(work: Work, done: Counter[str]) -> None:
    """Tells in the log and in the trail whose it was that asked."""
    counts = {name: number for name, number in done.items() if number}
    if not counts or work.check.options.get("dry_run"):
        return
    telemetry.log("WARNING", "a check has mended", check=work.check.id, **counts)
    details = {"check": work.check.id, **counts}
    author = work.check.asked_by or "slipway"
    audit.write(work.database, Event("check.repair", "success", author, str(work.check.id), "", None, details))
