"""What is inside an image: its manifest, and where its config lies. Of an index: of one of the images that it lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Call, Statement, compose
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag


@dataclass(frozen=True, slots=True)
class Inside:
    """`object_name` and `size` are the config's; None if there is none, or the repository doesn't hold it."""

    digest: Digest
    kind: str
    payload: bytes
    object_name: str | None
    size: int | None


# Of an index the image that was chosen, or that for amd64, or the first one. A config is read only through the
# repository's own link: one that a manifest names and may not serve is nobody's to see.
_INSIDE: Final = """
    WITH named AS MATERIALIZED (
        $named
    ), chosen AS MATERIALIZED (
        SELECT coalesce((SELECT child.id
                           FROM manifest_children
                           JOIN manifests AS child ON child.id = manifest_children.child_id
                           LEFT JOIN platforms ON platforms.manifest_id = child.id
                          WHERE manifest_children.parent_id = named.id AND child.kind = 'image'
                            AND (CAST(:child AS bytea) IS NULL OR child.digest = CAST(:child AS bytea))
                          ORDER BY coalesce(platforms.architecture = 'amd64', false) DESC, child.id
                          LIMIT 1), named.id) AS id
          FROM named
    )
    SELECT manifests.digest, manifests.kind, manifests.payload, blobs.object_name, blobs.size
      FROM chosen
      JOIN manifests ON manifests.id = chosen.id
      LEFT JOIN repository_blobs AS link
        ON link.repository_id = manifests.repository_id AND link.digest = manifests.config_digest
      LEFT JOIN blobs ON blobs.digest = link.digest
"""

_OF_TAG: Final = Statement(
    "configs_inside_tag",
    Inside,
    compose(
        _INSIDE,
        named="""SELECT tags.manifest_id AS id
          FROM repositories JOIN tags ON tags.repository_id = repositories.id
         WHERE repositories.name = :repository AND tags.name = :reference""",
    ),
)

_OF_DIGEST: Final = Statement(
    "configs_inside_digest",
    Inside,
    compose(
        _INSIDE,
        named="""SELECT manifests.id
          FROM repositories JOIN manifests ON manifests.repository_id = repositories.id
         WHERE repositories.name = :repository AND manifests.digest = :reference""",
    ),
)


def reading(repository: RepositoryName, reference: Tag | Digest, child: Digest | None = None) -> Call[Inside]:
    """Gives one row, or none if there is no such manifest. `child` chooses an image of an index."""
    statement = _OF_DIGEST if isinstance(reference, Digest) else _OF_TAG
    return statement(repository=repository, reference=reference, child=child)
