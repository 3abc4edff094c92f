//! What is asked of a registry: tags, manifests, blobs, uploads, referrers (OCI distribution specification, end-1 to
//! end-14).

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use super::fault::Fault;
use super::page;
use super::payload::Payload;
use super::registry::{Ask, Registry, absolute, escaped};
use super::transport::Answer;
use crate::mirror::digest::{Algorithm, Digest};
use crate::mirror::manifest::{ACCEPT, BYTES, Descriptor, Manifest};
use crate::mirror::reference::{is_repository, is_tag};

/// Bytes of a page of a list, and names in all its pages.
const PAGE_BYTES: usize = 32 << 20;
const NAMES: usize = 200_000;
const PAGES: usize = 10_000;
/// For the answer to a piece that was sent: it is stored on the other side before.
const STORING: Duration = Duration::from_secs(60);
/// For the answer to the end of an upload: there are registries that copy all of it before.
const ENDING: Duration = Duration::from_secs(300);

/// What may be done with a repository.
pub fn scope(repository: &str, is_push: bool) -> String {
    format!("repository:{repository}:{}", if is_push { "pull,push" } else { "pull" })
}

/// An upload that a registry has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Where the next piece goes.
    pub location: String,
    pub at: u64,
}

/// Octets of a repository's name.
const LONGEST_NAME: usize = 255;

#[derive(Default, Deserialize)]
struct Names {
    tags: Option<Vec<String>>,
    repositories: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
struct Referrers {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

impl Registry {
    /// Whether it answers to those who come with this credential.
    pub async fn ping(&self) -> Result<(), Fault> {
        self.ask(&Ask::new(Method::GET, "/v2/", "")).await?.whole(PAGE_BYTES).await.map(drop)
    }

    async fn names(&self, first: String, scope: &str) -> Result<Option<Vec<String>>, Fault> {
        let (mut target, mut all) = (first, Vec::new());
        for _ in 0..PAGES {
            let ask = Ask { good: &[200, 404], ..Ask::new(Method::GET, target.as_str(), scope) };
            let (head, body) = self.ask(&ask).await?.whole(PAGE_BYTES).await?;
            if head.status.as_u16() == 404 {
                return Ok(None);
            }
            let wrong = |e: serde_json::Error| {
                Fault::Invalid(format!("{}: a list that does not read: {e}", self.host()))
            };
            let names: Names = serde_json::from_slice(&body).map_err(wrong)?;
            let before = all.len();
            // What is longer is no name.
            let named = names.tags.into_iter().chain(names.repositories).flatten();
            all.extend(named.filter(|name| name.len() <= LONGEST_NAME));
            if all.len() > NAMES {
                return Err(Fault::Invalid(format!("{}: more than {NAMES} names in a list", self.host())));
            }
            let link = head.headers.get("link").and_then(|v| v.to_str().ok()).and_then(page::next);
            match link {
                Some(link) => {
                    let next = absolute(&self.access.origin, link);
                    if next == target && all.len() == before {
                        return Ok(Some(all));
                    }
                    if next == target {
                        let why = "a list whose next page is the same one";
                        return Err(Fault::Invalid(format!("{}: {why}", self.host())));
                    }
                    target = next;
                }
                None => return Ok(Some(all)),
            }
        }
        // Part of a list is not to be taken for all of it.
        Err(Fault::Invalid(format!("{}: a list of more than {PAGES} pages", self.host())))
    }

    /// `None`: there is no such repository.
    pub async fn tags(&self, repository: &str) -> Result<Option<Vec<String>>, Fault> {
        let names =
            self.names(format!("/v2/{repository}/tags/list?n=1000"), &scope(repository, false)).await?;
        Ok(names.map(|mut tags| {
            tags.retain(|tag| is_tag(tag));
            tags
        }))
    }

    pub async fn repositories(&self) -> Result<Vec<String>, Fault> {
        let names = self.names("/v2/_catalog?n=1000".into(), "registry:catalog:*").await?;
        let mut names = names.unwrap_or_default();
        names.retain(|name| is_repository(name));
        Ok(names)
    }

    /// The digest of what a tag or a digest names, without a pull.
    pub async fn head_manifest(&self, repository: &str, reference: &str) -> Result<Option<Digest>, Fault> {
        let ask = Ask {
            headers: vec![("accept", ACCEPT.into())],
            good: &[200, 404],
            ..Ask::new(
                Method::HEAD,
                format!("/v2/{repository}/manifests/{reference}"),
                scope(repository, false),
            )
        };
        let (head, _) = self.ask(&ask).await?.whole(BYTES).await?;
        if head.status.as_u16() == 404 {
            return Ok(None);
        }
        let said = head.headers.get("docker-content-digest").and_then(|v| v.to_str().ok()?.parse().ok());
        match said {
            Some(digest) => Ok(Some(digest)),
            None => Ok(self.manifest(repository, reference).await?.map(|manifest| manifest.digest)),
        }
    }

    /// What a tag or a digest names; with a digest, those bytes and no others.
    pub async fn manifest(&self, repository: &str, reference: &str) -> Result<Option<Manifest>, Fault> {
        let wanted = reference.parse::<Digest>().ok();
        let ask = Ask {
            headers: vec![("accept", ACCEPT.into())],
            good: &[200, 404],
            is_pull: true,
            ..Ask::new(
                Method::GET,
                format!("/v2/{repository}/manifests/{reference}"),
                scope(repository, false),
            )
        };
        let (head, body) = self.ask(&ask).await?.whole(BYTES).await?;
        if head.status.as_u16() == 404 {
            return Ok(None);
        }
        let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok());
        let said = header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let expected = wanted.or(said);
        let algorithm = expected.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        let what = || format!("{repository}@{reference}");
        let found = Digest::of(algorithm, &body);
        if expected.is_some_and(|expected| expected != found) {
            let found = found.to_string();
            return Err(Fault::Corrupt { host: self.host().to_owned(), what: what(), found });
        }
        let manifest = Manifest::parse(body, header("content-type").unwrap_or_default(), algorithm);
        manifest.map(Some).map_err(|e| Fault::Invalid(format!("{}: {}: {e}", self.host(), what())))
    }

    /// Whether the registry said that it took note of what the manifest refers to.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<bool, Fault> {
        let ask = Ask {
            headers: vec![("content-type", manifest.media_type.clone())],
            body: manifest.bytes.clone(),
            good: &[201],
            ..Ask::new(
                Method::PUT,
                format!("/v2/{repository}/manifests/{reference}"),
                scope(repository, true),
            )
        };
        let (head, _) = self.ask(&ask).await?.whole(BYTES).await?;
        Ok(head.headers.contains_key("oci-subject"))
    }

    /// False: it was not there.
    pub async fn delete_manifest(&self, repository: &str, digest: &Digest) -> Result<bool, Fault> {
        let scope = format!("repository:{repository}:pull,push,delete");
        let ask = Ask {
            good: &[202, 404],
            ..Ask::new(Method::DELETE, format!("/v2/{repository}/manifests/{digest}"), scope)
        };
        let (head, _) = self.ask(&ask).await?.whole(BYTES).await?;
        Ok(head.status.as_u16() == 202)
    }

    pub async fn has_blob(&self, repository: &str, digest: &Digest) -> Result<bool, Fault> {
        let ask = Ask {
            good: &[200, 404],
            ..Ask::new(Method::HEAD, format!("/v2/{repository}/blobs/{digest}"), scope(repository, false))
        };
        let (head, _) = self.ask(&ask).await?.whole(BYTES).await?;
        Ok(head.status.as_u16() == 200)
    }

    /// A blob from a byte on. Whether it begins there or, where ranges are not known, at the first.
    pub async fn blob(&self, repository: &str, digest: &Digest, from: u64) -> Result<(Answer, bool), Fault> {
        let mut ask = Ask {
            good: &[200, 206],
            ..Ask::new(Method::GET, format!("/v2/{repository}/blobs/{digest}"), scope(repository, false))
        };
        if from > 0 {
            ask.headers.push(("range", format!("bytes={from}-")));
        }
        let answer = self.ask(&ask).await?;
        let is_there = from == 0 || {
            let range = answer.header("content-range").unwrap_or_default();
            answer.head.status.as_u16() == 206 && range.starts_with(&format!("bytes {from}-"))
        };
        Ok((answer, is_there))
    }

    /// What refers to a manifest; `None`: the registry knows no referrers, and a tag has them (see [`Digest::as_tag`]).
    pub async fn referrers(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Fault> {
        let mut target = format!("/v2/{repository}/referrers/{digest}");
        let (mut all, mut bytes) = (Vec::new(), 0);
        for _ in 0..PAGES {
            let ask = Ask {
                good: &[200, 400, 404, 405],
                ..Ask::new(Method::GET, target.as_str(), scope(repository, false))
            };
            let (head, body) = self.ask(&ask).await?.whole(BYTES).await?;
            if head.status.as_u16() != 200 {
                return Ok(None);
            }
            bytes += body.len();
            if bytes > PAGE_BYTES {
                return Err(Fault::Invalid(format!("{}: too many referrers", self.host())));
            }
            let Ok(page) = serde_json::from_slice::<Referrers>(&body) else { return Ok(None) };
            all.extend(page.manifests);
            let next = head.headers.get("link").and_then(|v| v.to_str().ok()).and_then(page::next);
            match next.map(|link| absolute(&self.access.origin, link)) {
                Some(next) if next != target && all.len() < NAMES => target = next,
                _ => break,
            }
        }
        Ok(Some(all))
    }

    /// Opens an upload; `None`: the blob is there, by a mount from another repository.
    pub async fn begin_upload(
        &self,
        repository: &str,
        mount: Option<(&Digest, &str)>,
    ) -> Result<Option<Upload>, Fault> {
        let mut target = format!("/v2/{repository}/blobs/uploads/");
        let mut scopes = scope(repository, true);
        if let Some((digest, from)) = mount {
            target = format!("{target}?mount={digest}&from={}", escaped(from));
            scopes = format!("{scopes} {}", scope(from, false));
        }
        let ask = Ask { good: &[201, 202], ..Ask::new(Method::POST, target, scopes) };
        let answer = self.ask(&ask).await?;
        if answer.head.status.as_u16() == 201 {
            answer.whole(BYTES).await?;
            return Ok(None);
        }
        self.upload(answer, 0).await.map(Some)
    }

    async fn upload(&self, answer: Answer, at: u64) -> Result<Upload, Fault> {
        let (head, _) = answer.whole(BYTES).await?;
        let location = head.headers.get("location").and_then(|v| v.to_str().ok());
        let location = location.map(|to| absolute(&self.access.origin, to));
        let missing = || Fault::Invalid(format!("{}: an upload without a location", self.host()));
        Ok(Upload { location: location.ok_or_else(missing)?, at })
    }

    /// How far an upload is; `None`: the registry has forgotten it.
    pub async fn upload_status(&self, repository: &str, location: &str) -> Result<Option<Upload>, Fault> {
        let ask =
            Ask { good: &[204, 400, 404, 416], ..Ask::new(Method::GET, location, scope(repository, true)) };
        let answer = self.ask(&ask).await?;
        if answer.head.status.as_u16() != 204 {
            answer.whole(BYTES).await?;
            return Ok(None);
        }
        let last = answer.header("range").and_then(|range| {
            let (from, to) = range.trim_start_matches("bytes=").split_once('-')?;
            Some((from.parse::<u64>().ok()?, to.parse::<u64>().ok()?))
        });
        // `0-0` is nothing for some registries and one byte for others: as if it had none.
        let at = last.filter(|(from, _)| *from == 0).map_or(0, |(_, to)| if to == 0 { 0 } else { to + 1 });
        self.upload(answer, at).await.map(Some)
    }

    /// Sends the next piece of an upload.
    pub async fn patch(
        &self,
        repository: &str,
        upload: &Upload,
        len: u64,
        payload: Payload,
    ) -> Result<Upload, Fault> {
        let ask = Ask {
            headers: vec![
                ("content-type", "application/octet-stream".into()),
                ("content-range", format!("{}-{}", upload.at, (upload.at + len).saturating_sub(1))),
            ],
            // Some answer as if it was made.
            good: &[201, 202],
            ..Ask::new(Method::PATCH, upload.location.as_str(), scope(repository, true))
        };
        let answer = self.send(&ask, payload, STORING).await?;
        self.upload(answer, upload.at + len).await
    }

    /// Sends the last piece, or nothing, and ends an upload: the registry looks whether it has that digest.
    pub async fn end_upload(
        &self,
        repository: &str,
        upload: &Upload,
        digest: &Digest,
        payload: Payload,
    ) -> Result<(), Fault> {
        let join = if upload.location.contains('?') { '&' } else { '?' };
        let target = format!("{}{join}digest={}", upload.location, escaped(&digest.to_string()));
        let ask = Ask {
            headers: vec![("content-type", "application/octet-stream".into())],
            good: &[201, 204],
            ..Ask::new(Method::PUT, target, scope(repository, true))
        };
        self.send(&ask, payload, ENDING).await?.whole(BYTES).await.map(drop)
    }

    /// Lets go of an upload, if the registry cares.
    pub async fn cancel_upload(&self, repository: &str, upload: &Upload) {
        let ask = Ask {
            good: &[204, 404, 400, 405],
            ..Ask::new(Method::DELETE, upload.location.as_str(), scope(repository, true))
        };
        if let Ok(answer) = self.ask(&ask).await {
            let _ = answer.whole(BYTES).await;
        }
    }

    /// Puts bytes that are here whole as a blob.
    pub async fn put_blob(&self, repository: &str, digest: &Digest, bytes: Bytes) -> Result<(), Fault> {
        let Some(upload) = self.begin_upload(repository, None).await? else { return Ok(()) };
        self.end_upload(repository, &upload, digest, Payload::Bytes(bytes)).await
    }
}
