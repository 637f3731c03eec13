"""Rows against each other: a manifest's bytes and what it refers to, rows that nothing waits for, figures."""

from __future__ import annotations

import hashlib
from typing import Final

from functions.migrate.checks.working import Work, advance
from functions.registry.metadata.checks import checks, findings, leaks, manifests
from functions.registry.metadata.checks.manifests import Checked
from functions.registry.metadata.checks.pieces import Piece
from functions.registry.metadata.checks.vocabulary import Found, Kind
from functions.registry.metadata.usage.recount import recount
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ManifestInvalid
from functions.registry.oci.manifest import Manifest, parse_manifest

_MANIFESTS: Final = 500
_MANIFEST_BYTES: Final = 8 << 20
_REPOSITORIES: Final = 50
_HELD: Final = 50_000
_BLOBS: Final = 2000
_SHOWN: Final = 5
# Below what a worker is given, with the time that its last batch may take.
_FIGURES_SECONDS: Final = 180.0


def check_manifests(work: Work, piece: Piece) -> bool:
    """Returns False if the time was over before the end. Raises PieceLost."""
    after, stop = int(piece.cursor or piece.start), int(piece.stop)
    while page := manifests.after(work.database, after, stop, _MANIFESTS, _MANIFEST_BYTES):
        looked = [each for each in page if each.payload is not None]
        found = [one for each in looked for one in _of_manifest(each)]
        after = looked[-1].id
        counts = checks.counting(piece.check_id, {"manifests": len(looked)})
        advance(work, piece, str(after), [counts, *findings.noting(piece.check_id, found)])
        if work.is_late():
            return False
    return True


def _of_manifest(checked: Checked) -> list[Found]:
    payload = checked.payload or b""

    def found(kind: Kind, detail: str) -> list[Found]:
        return [Found(kind, str(checked.id), detail, checked.digest, checked.repository, len(payload))]

    if hashlib.new(checked.digest.algorithm, payload).hexdigest() != checked.digest.hex:
        return found("manifest", "its bytes are not those of its digest")
    if checked.is_damaged:
        return found("manifest", "marked as damaged: push it again")
    try:
        manifest = parse_manifest(payload, checked.media_type)
    except ManifestInvalid:
        # An earlier release took it; what it refers to is as that one read it.
        return []
    missing = missing_references(checked, manifest)
    wanted = manifest.subject.digest if manifest.subject else None
    told = [f"not kept: {', '.join(map(str, missing[:_SHOWN]))}"] if missing else []
    told += [f"its subject is {wanted}, not {checked.subject}"] if wanted != checked.subject else []
    return found("references", "; ".join(told)) if told else []


def missing_references(checked: Checked, manifest: Manifest) -> list[Digest]:
    """Finds what the bytes refer to and no row keeps. What may lie elsewhere need not be kept."""
    held = {Digest.from_bytes(bytes.fromhex(each)) for each in checked.held}
    named = {*manifest.required_blobs, *manifest.child_digests, *manifest.listed_digests}
    return sorted(named - held)


def check_repositories(work: Work, piece: Piece) -> bool:
    """Manifests and links that no review waits for. False if the time was over. Raises PieceLost."""
    after = int(piece.cursor or 0)
    while ids := leaks.repositories_after(work.database, after, _REPOSITORIES, _HELD):
        found = [
            Found("leaked_manifest", str(each.id), "nothing reaches it", each.digest, each.repository, each.size)
            for each in leaks.manifests(work.database, ids)
        ]
        found += [
            Found(
                "leaked_link",
                f"{each.repository_id}/{each.digest}",
                "no manifest names it",
                each.digest,
                each.repository,
                each.size,
            )
            for each in leaks.links(work.database, ids)
        ]
        after = ids[-1]
        counts = checks.counting(piece.check_id, {"repositories": len(ids)})
        advance(work, piece, str(after), [counts, *findings.noting(piece.check_id, found)])
        if work.is_late():
            return False
    return True


def check_blobs(work: Work, piece: Piece) -> bool:
    """Blobs that nothing links and no review waits for. False if the time was over. Raises PieceLost."""
    after = Digest.parse(piece.cursor) if piece.cursor else None
    while page := leaks.blobs_after(work.database, after, _BLOBS):
        found = [
            Found("leaked_blob", str(each.digest), "no repository links it", each.digest, size=each.size)
            for each in page
            if each.is_leaked
        ]
        after = page[-1].digest
        advance(work, piece, str(after), findings.noting(piece.check_id, found))
        if work.is_late():
            return False
    return True


def check_figures(work: Work, piece: Piece) -> bool:
    """All of them, as a recount does; those of a registry that is too large for one run are left to `recount`."""
    counted = recount(work.database, _FIGURES_SECONDS)
    found = [
        Found(
            "figure",
            f"{each.scope} {each.name} {each.figure}",
            f"{each.kept} is kept, and {each.counted} counted",
            repository=each.name if each.scope == "repository" else None,
        )
        for each in counted.differences
    ]
    if not counted.is_complete:
        reason = "figures take longer than a run: `slipway operator recount` has all the time"
        checks.note_reason(work.database, piece.check_id, reason)
    advance(work, piece, None, findings.noting(piece.check_id, found))
    return True
