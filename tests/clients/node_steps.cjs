// `node node_steps.cjs PACKAGE HOST:PORT/NAME`: pushes an image with oci-registry-client, pulls it back and compares.
const crypto = require('crypto');
const { Readable } = require('stream');
const assert = require('assert');

const [, , folder, name] = process.argv;
const { RegistryClientV2, parseRepo } = require(folder);

const digestOf = (data) => 'sha256:' + crypto.createHash('sha256').update(data).digest('hex');
const described = (data, mediaType) => ({ mediaType, size: data.length, digest: digestOf(data) });

async function contentOf(client, digest) {
  const { stream } = await client.createBlobReadStream({ digest });
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function main() {
  const repo = parseRepo(name);
  repo.index.scheme = 'http';
  const client = new RegistryClientV2({ repo, insecure: true, acceptOCIManifests: true });
  assert(await client.supportsV2());

  const layers = [crypto.randomBytes(3 << 20), crypto.randomBytes(1)];
  const config = Buffer.from(JSON.stringify({ random: crypto.randomUUID() }));
  for (const data of [...layers, config]) {
    await client.blobUpload({ digest: digestOf(data), stream: Readable.from([data]), contentLength: data.length });
  }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: described(config, 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map((data) => described(data, 'application/vnd.oci.image.layer.v1.tar')),
  };
  const manifestData = Buffer.from(JSON.stringify(manifest));
  const put = await client.putManifest({ manifestData, ref: 'one', mediaType });
  assert.strictEqual(put.digest, digestOf(manifestData));

  assert.deepStrictEqual((await client.listTags()).tags, ['one']);
  assert.deepStrictEqual((await client.getManifest({ ref: 'one' })).manifest, manifest);
  for (const data of layers) {
    assert((await contentOf(client, digestOf(data))).equals(data));
    assert((await client.headBlob({ digest: digestOf(data) })).length > 0);
  }
  await client.deleteManifest({ ref: put.digest });
  await assert.rejects(client.getManifest({ ref: 'one' }));
  console.log(put.digest);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
