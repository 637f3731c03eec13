"""What all operations are about: one image, the blobs it names, the index that lists it, the artifact that signs it."""

from __future__ import annotations

from typing import Final

from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import APP, artifact_of
from tests.support import Image, index_of

CONFIG: Final = b'{"of": "the image"}'
LAYER: Final = b"the layer that is fought over"
IMAGE: Final = Image(config=CONFIG, layers=(LAYER,))
# Another manifest that names the same blobs.
SPARSE: Final = Image(config=CONFIG, layers=(LAYER,), more={"annotations": {"kind": "sparse"}})
OTHER_IMAGE: Final = Image(config=b'{"of": "another image"}', layers=(b"another layer",))
INDEX: Final = index_of(IMAGE.manifest)
SPARSE_INDEX: Final = index_of(IMAGE.manifest, annotations={"kind": "sparse"})
# Of these no tag ever reaches the first.
UNTAGGED_INDEX: Final = index_of(IMAGE.manifest, annotations={"kind": "untagged"})
REFERRER: Final = artifact_of(IMAGE.manifest, mediaType="application/vnd.oci.image.manifest.v1+json")

MOVING: Final = Tag("latest")
# As cosign names a signature after what it signs.
SIGNATURE: Final = Image(config=b'{"of": "the signature"}', layers=(b"a signature",))
SIGNATURE_TAG: Final = Tag(f"{IMAGE.digest}.sig".replace(":", "-"))
# Where the repository goes.
MOVED: Final = RepositoryName("elsewhere/app")
LAYER_DIGEST: Final = Digest.of(LAYER)
CONFIG_DIGEST: Final = Digest.of(CONFIG)


def manifest(payload: bytes) -> str:
    """How the checks name a manifest."""
    return f"manifest {Digest.of(payload)}"


def whole(content: bytes) -> str:
    """How the checks name a blob that can be pulled."""
    return f"bytes of {Digest.of(content)}"


def link(content: bytes, repository: RepositoryName = APP) -> str:
    return f"link {repository} {Digest.of(content)}"
