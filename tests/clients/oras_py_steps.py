"""What the tests have oras-py do. Runs in the virtual environment of the Python clients, not in that of the tests.

Usage: oras_py_steps.py STEP TARGET [ARGUMENT...]. With ORAS_USER and ORAS_PASSWORD it signs in; ORAS_TOKEN is a token.
"""

import os
import sys
import time
from typing import Any

import oras.client  # type: ignore[import-not-found]
import oras.oci  # type: ignore[import-not-found]

_MIB = 1024 * 1024


def push(client: Any, target: str, file: str, chunk_mib: str = "0") -> None:
    """Sends a file; in chunks of so many MiB unless that is zero."""
    size = int(chunk_mib) * _MIB
    chunks = {"do_chunked": True, "chunk_size": size} if size else {}
    client.push(target=target, files=[file], disable_path_validation=True, **chunks)


def attach(client: Any, target: str, subject: str, file: str) -> None:
    container = client.get_container(subject)
    answer = client.do_request(f"{client.prefix}://{container.manifest_url()}", "HEAD", headers=_ACCEPT)
    described = oras.oci.Subject(
        mediaType=answer.headers["Content-Type"],
        digest=answer.headers["Docker-Content-Digest"],
        size=int(answer.headers["Content-Length"]),
    )
    client.push(target=target, files=[file], disable_path_validation=True, subject=described)


def pull(client: Any, target: str, folder: str) -> None:
    client.pull(target=target, outdir=folder)


def tags(client: Any, target: str) -> None:
    _say(*client.get_tags(target))


def delete(client: Any, target: str, tag: str) -> None:
    _say(*client.delete_tags(target, [tag]))


_ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
_STEPS = {step.__name__: step for step in (push, attach, pull, tags, delete)}


def _say(*words: str) -> None:
    sys.stdout.write("".join(f"{word}\n" for word in words))


def main() -> None:
    step, target, *arguments = sys.argv[1:]
    client = oras.client.OrasClient(insecure=True, tls_verify=False)
    if "ORAS_USER" in os.environ:
        address = target.partition("/")[0]
        client.login(os.environ["ORAS_USER"], os.environ["ORAS_PASSWORD"], hostname=address, tls_verify=False)
    # What it is refused it tries again, for two minutes.
    time.sleep = lambda _: None
    if "ORAS_TOKEN" in os.environ:
        client.auth.set_token_auth(os.environ["ORAS_TOKEN"])
    _STEPS[step](client, target, *arguments)


if __name__ == "__main__":
    main()
