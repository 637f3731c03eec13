//! `oci-client-steps HOST:PORT/NAME`: pushes an image, a copy of it and a referrer, pulls them back and compares.

use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

type Failure = Box<dyn std::error::Error>;

/// Larger than one chunk of the client's (4 MiB), and never twice the same in one layer.
fn content(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let name = std::env::args().nth(1).ok_or("which repository?")?;
    let protocol = ClientProtocol::Http;
    let auth = RegistryAuth::Anonymous;
    // The largest first.
    let sent: Vec<Vec<u8>> = vec![content(1, 9 << 20), content(2, 100_000), content(3, 1)];
    for monolithic in [false, true] {
        let client = Client::new(ClientConfig {
            protocol: protocol.clone(),
            use_monolithic_push: monolithic,
            ..Default::default()
        });
        let tag = if monolithic { "whole" } else { "chunks" };
        let reference: Reference = format!("{name}:{tag}").parse()?;
        let layers: Vec<ImageLayer> = sent
            .iter()
            .map(|data| ImageLayer::new(data.clone(), IMAGE_LAYER_MEDIA_TYPE.to_string(), None))
            .collect();
        let config = Config::new(b"{}".to_vec(), IMAGE_CONFIG_MEDIA_TYPE.to_string(), None);
        client.push(&reference, &layers, config, &auth, None).await?;

        // They come in any order.
        let mut pulled = client.pull(&reference, &auth, vec![IMAGE_LAYER_MEDIA_TYPE]).await?.layers;
        pulled.sort_by_key(|layer| std::cmp::Reverse(layer.data.len()));
        if !pulled.iter().map(|layer| &layer.data[..]).eq(sent.iter().map(|data| &data[..])) {
            return Err(format!("{tag}: a layer came back otherwise").into());
        }
        let digest = client.fetch_manifest_digest(&reference, &auth).await?;
        let at: Reference = format!("{name}@{digest}").parse()?;
        if !client.pull_referrers(&at, None).await?.manifests.is_empty() {
            return Err("nothing refers to it".into());
        }
        println!("{tag} {digest}");
    }
    let client = Client::new(ClientConfig { protocol, ..Default::default() });
    let reference: Reference = format!("{name}:whole").parse()?;
    let tags = client.list_tags(&reference, &auth, None, None).await?.tags;
    println!("tags {}", tags.join(" "));
    Ok(())
}
