"""`archive_file` for real, as far as it is used: a zip whose bytes depend on names and contents alone."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any, Final

# The real provider's constant.
_MODIFIED: Final = (2049, 1, 1, 0, 0, 0)


def write_archive(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = folder / values["output_path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted(values["source"], key=lambda source: str(source["filename"])):
            entry = zipfile.ZipInfo(source["filename"], _MODIFIED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = int(values["output_file_mode"] or "0644", 8) << 16
            archive.writestr(entry, source["content"])
    content = path.read_bytes()
    hashes = {name: hashlib.new(name, content) for name in ("md5", "sha1", "sha256", "sha512")}
    return values | {
        "id": hashes["sha1"].hexdigest(),
        "output_size": len(content),
        "output_md5": hashes["md5"].hexdigest(),
        "output_sha": hashes["sha1"].hexdigest(),
        "output_sha256": hashes["sha256"].hexdigest(),
        "output_sha512": hashes["sha512"].hexdigest(),
        "output_base64sha256": base64.b64encode(hashes["sha256"].digest()).decode(),
        "output_base64sha512": base64.b64encode(hashes["sha512"].digest()).decode(),
    }
