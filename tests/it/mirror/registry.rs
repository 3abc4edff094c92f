//! A registry that is started, stopped and killed; images made from nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use isobar::mirror::digest::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::support::place;
use crate::support::program::{installed, skipped};

/// Whether this machine has what these tests need.
pub fn has_tools(test: &str) -> bool {
    let missing: Vec<&str> =
        ["docker-registry", "skopeo"].into_iter().filter(|tool| !installed(tool)).collect();
    if !missing.is_empty() {
        skipped(test, &format!("not installed: {}", missing.join(" ")));
    }
    missing.is_empty()
}

pub struct Registry {
    pub address: SocketAddr,
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Registry {
    /// `announce`: where its webhook goes.
    pub fn start(announce: Option<SocketAddr>) -> Registry {
        let address = SocketAddr::from((place::address(), place::free_port()));
        let dir = tempfile::Builder::new().prefix("registry.").tempdir().expect("a directory");
        let mut config = json!({
            "version": "0.1",
            "log": { "level": "error" },
            "storage": {
                "filesystem": { "rootdirectory": dir.path().join("data") },
                "delete": { "enabled": true },
            },
            "http": { "addr": address.to_string(), "secret": "the same after a restart" },
        });
        if let Some(to) = announce {
            let url = format!("http://{to}/v1/mirror/events");
            config["notifications"] = json!({ "endpoints": [
                { "name": "isobar", "url": url, "timeout": "1s", "threshold": 5, "backoff": "1s" },
            ] });
        }
        // JSON is YAML.
        std::fs::write(dir.path().join("config.yml"), config.to_string()).expect("written");
        let mut registry = Registry { address, dir, child: None };
        registry.restart();
        registry
    }

    pub fn restart(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.path().join("log"));
        let log = log.expect("a log");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(self.dir.path().join("config.yml")).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        self.child = Some(command.spawn().expect("a registry"));
        assert!(place::wait_listening(self.address.port(), Duration::from_secs(20)), "{}", self.log());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// All that it said: a line for each request.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn image(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address)
    }

    /// The manifest that a tag names, as it is stored.
    pub fn raw(&self, name: &str) -> Option<Vec<u8>> {
        let told = skopeo(&["inspect", "--raw", "--tls-verify=false", &self.image(name)]);
        told.ok()
    }

    pub fn tags(&self, name: &str) -> Vec<String> {
        let told = skopeo(&["list-tags", "--tls-verify=false", &self.image(name)]).unwrap_or_default();
        let value: Value = serde_json::from_slice(&told).unwrap_or_default();
        let tags = value["Tags"].as_array().cloned().unwrap_or_default();
        tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
    }

    /// Pushes a layout's image.
    pub fn push(&self, layout: &Layout, name: &str) {
        self.push_as(layout, name, &[]);
    }

    pub fn push_as(&self, layout: &Layout, name: &str, flags: &[&str]) {
        let from = format!("oci:{}:image", layout.dir.display());
        let to = self.image(name);
        let mut args = vec!["copy", "--all", "--preserve-digests", "--dest-tls-verify=false"];
        args.extend(flags);
        args.extend([from.as_str(), to.as_str()]);
        skopeo(&args).unwrap_or_else(|e| panic!("skopeo copy to {name}: {e}"));
    }

    /// Puts a manifest whose blobs are there already, with curl.
    pub fn put(&self, name: &str, reference: &str, kind: &str, manifest: &[u8]) {
        let file = self.dir.path().join("put");
        std::fs::write(&file, manifest).expect("written");
        let url = format!("http://{}/v2/{name}/manifests/{reference}", self.address);
        let told = Command::new("curl")
            .args(["-sf", "-X", "PUT", "-H", &format!("Content-Type: {kind}"), "--data-binary"])
            .args([format!("@{}", file.display()), url])
            .output()
            .expect("curl");
        assert!(told.status.success(), "{name}:{reference}");
    }

    pub fn delete(&self, name: &str, digest: &Digest) {
        let url = format!("http://{}/v2/{name}/manifests/{digest}", self.address);
        let told = Command::new("curl").args(["-sf", "-X", "DELETE", &url]).status().expect("curl");
        assert!(told.success(), "{name}@{digest}");
    }

    /// Whether all of an image can be pulled: every byte is compared with its digest.
    pub fn pulls(&self, name: &str) -> bool {
        let dir = tempfile::tempdir().expect("a directory");
        let to = format!("dir:{}", dir.path().display());
        skopeo(&["copy", "--all", "--src-tls-verify=false", &self.image(name), &to]).is_ok()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn skopeo(args: &[&str]) -> Result<Vec<u8>, String> {
    let told = Command::new("skopeo").args(args).stdin(Stdio::null()).output().expect("skopeo");
    if told.status.success() {
        Ok(told.stdout)
    } else {
        Err(String::from_utf8_lossy(&told.stderr).into_owned())
    }
}

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Images as files (OCI image layout); the one to push is called `image`.
pub struct Layout {
    pub dir: PathBuf,
    _kept: tempfile::TempDir,
}

impl Layout {
    fn empty() -> Layout {
        let kept = tempfile::Builder::new().prefix("layout.").tempdir().expect("a directory");
        let dir = kept.path().to_owned();
        std::fs::create_dir_all(dir.join("blobs/sha256")).expect("made");
        std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
        Layout { dir, _kept: kept }
    }

    fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let path: &Path = &self.dir.join("blobs/sha256").join(digest.hex());
        std::fs::write(path, bytes).expect("written");
        json!({ "mediaType": kind, "digest": digest.to_string(), "size": bytes.len() })
    }

    fn manifest(&self, seed: u64, layers: &[usize]) -> Value {
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "seed": seed,
            "config": {}, "rootfs": { "type": "layers", "diff_ids": [] },
        });
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let layers = layers.iter().enumerate().map(|(at, size)| {
            self.blob("application/vnd.oci.image.layer.v1.tar", &bytes(seed * 1000 + at as u64, *size))
        });
        let layers: Vec<Value> = layers.collect();
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        // With blanks that no other writer makes.
        self.blob(MANIFEST, format!("{manifest:#}\n").as_bytes())
    }

    fn name(&self, mut top: Value) {
        top["annotations"] = json!({ "org.opencontainers.image.ref.name": "image" });
        let index = json!({ "schemaVersion": 2, "manifests": [top] });
        std::fs::write(self.dir.join("index.json"), index.to_string()).expect("written");
    }

    /// An image with layers of these sizes, another one for each seed.
    pub fn image(seed: u64, layers: &[usize]) -> Layout {
        let layout = Layout::empty();
        layout.name(layout.manifest(seed, layers));
        layout
    }

    /// An index of images for these platforms.
    pub fn index(seed: u64, platforms: &[&str]) -> Layout {
        let layout = Layout::empty();
        let of = |(at, name): (usize, &&str)| {
            let mut one = layout.manifest(seed + at as u64, &[20_000]);
            let (os, architecture) = name.split_once('/').expect("a platform");
            one["platform"] = json!({ "os": os, "architecture": architecture });
            one
        };
        let manifests: Vec<Value> = platforms.iter().enumerate().map(of).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        layout.name(layout.blob(INDEX, format!("{index:#}").as_bytes()));
        layout
    }
}

/// Bytes that do not repeat.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| next().to_le_bytes()).collect();
    bytes.truncate(count);
    bytes
}
