"""What is here of a source, compared with what its listing shows: what neither a problem nor a change here explains."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.imports.claims import Claim
from functions.registry.metadata.imports.vocabulary import ListedTag
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind` is tag, manifest or blob; `key` which of the repository that is called `path` there."""

    path: str
    kind: str
    key: str
    detail: str


_NEXT: Final = Statement(
    "imports_verify_next",
    Claim,
    """
    SELECT id, path, name, repository_id, state, lease, objects, attempts, compared_at
      FROM import_repositories
     WHERE source_id = :source_id AND state = 'imported' AND id > :after
     ORDER BY id LIMIT :limit
    """,
)

# A tag that somebody pushed here has another time than it had there.
_TAGS: Final = Statement(
    "imports_verify_tags",
    Difference,
    """
    SELECT old.path, 'tag', listed.name,
           CASE WHEN tags.name IS NULL THEN 'not here' ELSE 'names another manifest than there' END
      FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[]), CAST(:digests AS bytea[]))
           AS listed (id, name, digest)
      JOIN import_repositories AS old ON old.id = listed.id
      LEFT JOIN import_tags AS base ON base.import_id = old.id AND base.name = listed.name
      LEFT JOIN tags ON tags.repository_id = old.repository_id AND tags.name = listed.name
      LEFT JOIN manifests ON manifests.id = tags.manifest_id
     WHERE manifests.digest IS DISTINCT FROM listed.digest
       AND (tags.name IS NULL OR (base.state = 'applied' AND tags.updated_at = base.updated_at))
       AND NOT EXISTS (SELECT FROM import_deleted AS gone
                        WHERE gone.repository = old.name AND gone.tag = listed.name AND gone.digest = '')
       AND NOT EXISTS (SELECT FROM import_problems AS known
                        WHERE known.source_id = old.source_id AND known.repository = old.path
                          AND known.kind = 'tag' AND known.key = listed.name AND known.gone_at IS NULL)
       AND NOT EXISTS (SELECT FROM import_problems AS known
                        WHERE known.source_id = old.source_id AND known.repository = old.path
                          AND known.kind = 'manifest' AND known.key = digest_text(listed.digest)
                          AND known.gone_at IS NULL)
     ORDER BY 1, 3
    """,
)

_EXTRA_TAGS: Final = Statement(
    "imports_verify_extra_tags",
    Difference,
    """
    SELECT old.path, 'tag', base.name, 'here as it was imported, and not there any more'
      FROM unnest(CAST(:ids AS bigint[])) AS verified (id)
      JOIN import_repositories AS old ON old.id = verified.id
      JOIN import_tags AS base ON base.import_id = old.id AND base.state = 'applied'
      JOIN tags
        ON tags.repository_id = old.repository_id AND tags.name = base.name AND tags.updated_at = base.updated_at
     WHERE NOT EXISTS (SELECT FROM unnest(CAST(:tag_ids AS bigint[]), CAST(:names AS text[])) AS listed (id, name)
                        WHERE listed.id = old.id AND listed.name = base.name)
       AND NOT EXISTS (SELECT FROM import_problems AS known
                        WHERE known.source_id = old.source_id AND known.repository = old.path
                          AND known.kind = 'tag' AND known.key = base.name AND known.gone_at IS NULL)
     ORDER BY 1, 3
    """,
)

_MANIFESTS: Final = Statement(
    "imports_verify_manifests",
    Difference,
    """
    SELECT old.path, 'manifest', digest_text(listed.digest), 'not here'
      FROM unnest(CAST(:ids AS bigint[]), CAST(:digests AS bytea[])) AS listed (id, digest)
      JOIN import_repositories AS old ON old.id = listed.id
     WHERE NOT EXISTS (SELECT FROM manifests
                        WHERE manifests.repository_id = old.repository_id AND manifests.digest = listed.digest)
       AND NOT EXISTS (SELECT FROM import_deleted AS gone
                        WHERE gone.repository = old.name AND gone.tag = '' AND gone.digest = listed.digest)
       AND NOT EXISTS (SELECT FROM import_problems AS known
                        WHERE known.source_id = old.source_id AND known.repository = old.path
                          AND known.kind = 'manifest' AND known.key = digest_text(listed.digest)
                          AND known.gone_at IS NULL)
     ORDER BY 1, 3
    """,
)

_PAYLOADS: Final = Statement(
    "imports_verify_payloads",
    Difference,
    """
    SELECT old.path, 'manifest', digest_text(manifests.digest), 'its bytes are not those of its digest'
      FROM unnest(CAST(:ids AS bigint[])) AS verified (id)
      JOIN import_repositories AS old ON old.id = verified.id
      JOIN manifests ON manifests.repository_id = old.repository_id
     WHERE substr(manifests.digest, 2) NOT IN (sha256(manifests.payload), sha512(manifests.payload))
     ORDER BY 1, 3
    """,
)

# Awaited, though there is a blob or a manifest of that digest.
_BLOBS: Final = Statement(
    "imports_verify_references",
    Difference,
    """
    SELECT DISTINCT old.path, 'blob', digest_text(awaited.digest), 'here, and not kept by what names it'
      FROM unnest(CAST(:ids AS bigint[])) AS verified (id)
      JOIN import_repositories AS old ON old.id = verified.id
      JOIN sparse_references AS awaited ON awaited.repository_id = old.repository_id
     WHERE (EXISTS (SELECT FROM repository_blobs AS link
                     WHERE link.repository_id = old.repository_id AND link.digest = awaited.digest)
            OR EXISTS (SELECT FROM manifests AS child
                        WHERE child.repository_id = old.repository_id AND child.digest = awaited.digest))
       AND NOT EXISTS (SELECT FROM manifest_blobs AS kept
                        WHERE kept.manifest_id = awaited.manifest_id AND kept.digest = awaited.digest)
       AND NOT EXISTS (SELECT FROM manifest_children AS kept JOIN manifests AS child ON child.id = kept.child_id
                        WHERE kept.parent_id = awaited.manifest_id AND child.digest = awaited.digest)
    """,
)

_BEGIN: Final = Statement(
    "imports_begin_verification",
    int,
    """
    UPDATE import_sources SET counts = counts || jsonb_build_object(CAST(:what AS text), jsonb_build_object(
           'began_at', now(), 'checked', 0, 'found', 0, 'differences', '[]'::jsonb))
     WHERE id = :source_id
    """,
)

# The first hundred are kept by name.
_NOTE: Final = Statement(
    "imports_note_verification",
    int,
    """
    UPDATE import_sources AS source
       SET counts = jsonb_set(source.counts, ARRAY[CAST(:what AS text)], jsonb_build_object(
           'began_at', was.noted -> 'began_at', 'ended_at', CASE WHEN CAST(:is_end AS boolean) THEN to_jsonb(now()) END,
           'checked', CAST(was.noted ->> 'checked' AS bigint) + :checked,
           'found', CAST(was.noted ->> 'found' AS bigint) + jsonb_array_length(CAST(:differences AS jsonb)),
           'differences', jsonb_path_query_array(
               (was.noted -> 'differences') || CAST(:differences AS jsonb), '$[0 to 99]')))
      FROM (SELECT id, counts -> CAST(:what AS text) AS noted FROM import_sources WHERE id = :source_id) AS was
     WHERE source.id = was.id
    """,
)


@dataclass(frozen=True, slots=True)
class HeldBlob:
    digest: Digest
    size: int
    object_name: str


_BLOBS_AFTER: Final = Statement(
    "imports_blobs_after",
    HeldBlob,
    """
    SELECT digest, size, object_name FROM blobs WHERE digest > :after ORDER BY digest LIMIT :limit
    """,
)


def next_repositories(db: Database, source_id: int, after: int, limit: int) -> list[Claim]:
    """Returns those that are imported, by their ids. Nobody else is kept from them."""
    return db.all(_NEXT(source_id=source_id, after=after, limit=limit))


def differences(
    db: Database,
    ids: Sequence[int],
    tags: Sequence[tuple[int, ListedTag]],
    manifests: Iterable[tuple[int, Digest]],
) -> list[Difference]:
    """Returns those of the repositories with these ids, given all tags and manifests that they are listed to have."""
    pairs = list(manifests)
    listed = {"names": [tag.name for _, tag in tags], "digests": [tag.digest for _, tag in tags]}
    calls: list[Call[Difference]] = [
        _TAGS(ids=[id_ for id_, _ in tags], **listed),
        _EXTRA_TAGS(ids=list(ids), tag_ids=[id_ for id_, _ in tags], names=listed["names"]),
        _MANIFESTS(ids=[id_ for id_, _ in pairs], digests=[digest for _, digest in pairs]),
        _PAYLOADS(ids=list(ids)),
        _BLOBS(ids=list(ids)),
    ]
    outcomes = db.batch(calls)
    return [found for call, outcome in zip(calls, outcomes, strict=True) for found in call.statement.read(outcome)]


def blobs_after(db: Database, after: Digest | None, limit: int) -> list[HeldBlob]:
    return db.all(_BLOBS_AFTER(after=b"" if after is None else after, limit=limit))


_ASK: Final = Statement(
    "imports_ask_verification",
    int,
    """
    INSERT INTO import_ranges (source_id, tree, start)
    SELECT :source_id, :what, :start
     WHERE NOT EXISTS (SELECT FROM import_ranges WHERE source_id = :source_id AND tree = :what)
    ON CONFLICT (source_id, tree, start) DO NOTHING
    """,
)


def ask(db: Database, source_id: int, rehash_percent: int | None) -> None:
    """Whoever works at the source compares it with a fresh listing; or reads so many of a hundred of its blobs."""
    what, start = ("verification", "") if rehash_percent is None else ("rehash", str(rehash_percent))
    db.count(_ASK(source_id=source_id, what=what, start=start))


def beginning(source_id: int, what: str) -> Call[Any]:
    """What was found before is forgotten; `what` is verification or rehash."""
    return _BEGIN(source_id=source_id, what=what)


def noting(source_id: int, what: str, checked: int, found: Sequence[Difference], *, is_end: bool) -> Call[Any]:
    told = [f"{each.path} {each.kind} {each.key}: {each.detail}" for each in found]
    return _NOTE(source_id=source_id, what=what, checked=checked, differences=json.dumps(told), is_end=is_end)
