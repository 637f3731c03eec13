"""A fake Cloud Storage: what the registry runs on when it runs on one machine. Nothing here is deployed.

It keeps to the real service wherever the registry, or the Google client, could tell the difference:

* the JSON API as google-cloud-storage speaks it: simple, multipart and resumable uploads, reads with ranges, patch,
  copy, rewrite, move, compose, delete, soft delete and restore, listing (pages, prefixes, delimiter, offsets, glob),
  batches;
* V4 signed URLs for GET, HEAD, PUT, DELETE and the start of a resumable upload, with the signature (RSA or HMAC) and
  the expiry checked; without a signature the XML API refuses, as a private bucket does;
* generation and metageneration preconditions, decided together with the write they guard;
* crc32c and md5 of everything, checked against what the client promised;
* objects *and* upload sessions outlive a restart.

Metadata lives in SQLite, contents in one file per generation. Memory stays flat whatever an object's size, and no lock
is held while a body arrives.

Left out: HMAC keys as a resource, notifications, versioning, signBlob, IAM beyond an empty policy, the multipart
uploads of the XML API, partial responses (``fields`` is ignored: the answer holds more than was asked for), lifecycle
rules (kept, never carried out), and the end of a soft deletion's retention. The JSON API asks for no credentials.

Faults can be planned over HTTP, see `faults`. `server.create_app` serves it with gunicorn, `testing.serve` inside a
test.
"""
