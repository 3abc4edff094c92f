//! What a large blob costs when its copy breaks off: a registry of the tests' own counts every byte that comes. It forgets
//! an upload that it is shown another place of than it has, as docker-registry does, or tells how far it is.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::checkpoint::Saved;
use super::*;
use crate::mirror::client::{Access, Origin, Registry};
use crate::mirror::digest::{Algorithm, Digest};
use crate::mirror::manifest::Descriptor;
use crate::tls::{Authorities, Client, Servers, Versions};

const SOON: Duration = Duration::from_secs(20);

/// Bytes up to a gate; then nothing more comes.
struct Gated(VecDeque<Bytes>, u64);

impl Body for Gated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(bytes) => {
                self.1 -= bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            None if self.1 == 0 => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.1)
    }
}

/// Both registries, and what is kept of uploads.
struct Scene {
    blob: Bytes,
    is_strict: bool,
    /// The source gives no more than this.
    gives: AtomicU64,
    /// The target takes no more than this.
    takes: AtomicU64,
    came: AtomicU64,
    forgot: AtomicU64,
    upload: Mutex<Option<Vec<u8>>>,
    kept: Mutex<HashMap<String, Vec<u8>>>,
    /// Of each piece: where it begins, and what was kept then.
    begun: Mutex<Vec<(u64, u64)>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("nobody panicked")
}

impl Keeper for Arc<Scene> {
    fn load(&self, key: &str) -> Option<Vec<u8>> {
        lock(&self.kept).get(key).cloned()
    }

    fn save(&self, key: &str, value: Vec<u8>) -> Saved<'_> {
        let key = key.to_owned();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            lock(&self.kept).insert(key, value);
        })
    }

    fn clear(&self, key: &str) {
        lock(&self.kept).remove(key);
    }
}

impl Scene {
    fn new(size: usize, is_strict: bool) -> Arc<Scene> {
        let blob: Vec<u8> =
            (0..size as u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
        Arc::new(Scene {
            blob: blob.into(),
            is_strict,
            gives: AtomicU64::new(u64::MAX),
            takes: AtomicU64::new(u64::MAX),
            came: AtomicU64::default(),
            forgot: AtomicU64::default(),
            upload: Mutex::default(),
            kept: Mutex::default(),
            begun: Mutex::default(),
        })
    }

    fn digest(&self) -> Digest {
        Digest::of(Algorithm::Sha256, &self.blob)
    }

    /// How far the upload is that stands in the keeper.
    fn kept_at(&self) -> u64 {
        let kept = lock(&self.kept);
        kept.values().next().and_then(|value| checkpoint::Checkpoint::decode(value)).map_or(0, |one| one.at)
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Gated> {
        let (head, body) = request.into_parts();
        let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
        let of = |status: u16| Response::builder().status(status);
        let empty = || Gated(VecDeque::new(), 0);
        let answer = match (&head.method, path.contains("/uploads/")) {
            (&Method::HEAD, _) => of(404).body(empty()),
            (&Method::GET, false) => {
                let range = head.headers.get("range").and_then(|v| v.to_str().ok()).unwrap_or("bytes=0-");
                let from: usize = range["bytes=".len()..range.len() - 1].parse().expect("a range");
                let upto = (self.gives.load(Ordering::Relaxed) as usize).min(self.blob.len()).max(from);
                let rest = self.blob.slice(from..upto);
                let frames =
                    (0..rest.len()).step_by(65536).map(|at| rest.slice(at..rest.len().min(at + 65536)));
                let left = (self.blob.len() - from) as u64;
                let said = format!("bytes {from}-{}/{}", self.blob.len() - 1, self.blob.len());
                of(if from > 0 { 206 } else { 200 })
                    .header("content-range", said)
                    .body(Gated(frames.collect(), left))
            }
            (&Method::POST, _) => {
                *lock(&self.upload) = Some(Vec::new());
                of(202).header("location", "/v2/t/blobs/uploads/one?at=0").body(empty())
            }
            _ => {
                let at: u64 = query
                    .trim_start_matches("at=")
                    .split('&')
                    .next()
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0);
                let len = lock(&self.upload).as_ref().map(|bytes| bytes.len() as u64);
                if len.is_none() || (self.is_strict && len != Some(at)) {
                    self.forgot.fetch_add(u64::from(lock(&self.upload).take().is_some()), Ordering::Relaxed);
                    return of(404).body(empty()).expect("an answer");
                }
                self.go_on(&head.method, &query, body).await
            }
        };
        answer.expect("an answer")
    }

    /// A piece of an upload, its end, or a question how far it is.
    async fn go_on(
        &self,
        method: &Method,
        query: &str,
        mut body: Incoming,
    ) -> hyper::http::Result<Response<Gated>> {
        let len = || lock(&self.upload).as_ref().map_or(0, Vec::len) as u64;
        if *method == Method::PATCH {
            lock(&self.begun).push((len(), self.kept_at()));
        }
        while let Some(Ok(frame)) = body.frame().await {
            let data = frame.into_data().unwrap_or_default();
            self.came.fetch_add(data.len() as u64, Ordering::Relaxed);
            lock(&self.upload).iter_mut().for_each(|bytes| bytes.extend_from_slice(&data));
            if len() >= self.takes.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        }
        let status = match *method {
            Method::GET => 204,
            Method::PATCH => 202,
            _ => {
                let found = Digest::of(Algorithm::Sha256, lock(&self.upload).as_deref().unwrap_or_default());
                let named = query.contains(&self.digest().hex().to_owned());
                if found == self.digest() && named { 201 } else { 400 }
            }
        };
        let at = len();
        let answer =
            Response::builder().status(status).header("location", format!("/v2/t/blobs/uploads/one?at={at}"));
        answer.header("range", format!("0-{}", at.saturating_sub(1))).body(Gated(VecDeque::new(), 0))
    }

    async fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address").to_string();
        let scene = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let scene = scene.clone();
                let service = service_fn(move |request| {
                    let scene = scene.clone();
                    async move { Ok::<_, Infallible>(scene.answer(request).await) }
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(served);
            }
        });
        address
    }

    /// As a process that begins: it has nothing but what is kept.
    fn copier(self: &Arc<Self>, address: &str) -> Copier {
        let servers = Servers::Signed(Authorities::system());
        let client =
            Client { servers, shows: None, versions: Versions::Both, alpn: Vec::new(), resumes: false };
        let client = client.config().expect("a client");
        let registry = |name: &str| {
            let origin = Origin { is_secure: false, address: address.to_owned(), host: address.to_owned() };
            Registry::new(Access {
                name: name.into(),
                origin,
                client: client.clone(),
                credential: None,
                most: 4,
            })
        };
        Copier {
            source: registry("a"),
            from: "s".into(),
            target: Target::new(registry("b")),
            to: "t".into(),
            platforms: [].into(),
            parallel: 2,
            keeper: Arc::new(self.clone()),
            meter: Arc::default(),
            pace: Arc::new(Pace::new(0)),
            room: Arc::new(Semaphore::new(ROOM)),
            stop: Arc::default(),
        }
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: String::new(),
            digest: self.digest(),
            size: self.blob.len() as u64,
            platform: None,
            urls: Vec::new(),
        }
    }

    /// Copies until `holds`, and breaks off; then another process copies to the end. Bytes that came beyond the blob's.
    async fn broken_off(self: &Arc<Self>, holds: impl Fn(&Scene) -> bool) -> u64 {
        let (address, blob) = (self.serve().await, self.descriptor());
        let copier = self.copier(&address);
        let going = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            done = copier.blob(&blob) => panic!("too soon: {done:?}"),
            found = tokio::time::timeout(SOON, going) => found.expect("in time"),
        }
        self.gives.store(u64::MAX, Ordering::Relaxed);
        self.takes.store(u64::MAX, Ordering::Relaxed);
        let again = self.copier(&address);
        let done = tokio::time::timeout(SOON, again.blob(&blob)).await.expect("in time");
        assert_eq!(done.expect("copied"), How::Sent);
        assert!(lock(&self.kept).is_empty(), "nothing is kept of what is done");
        self.came.load(Ordering::Relaxed) - self.blob.len() as u64
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

const SIZE: usize = 5 * PIECE as usize + 1000;

#[test]
fn what_breaks_off_while_it_reads_sends_nothing_twice_even_to_who_forgets() {
    let scene = Scene::new(SIZE, true);
    scene.gives.store(2 * PIECE + 1000, Ordering::Relaxed);
    let again = run(scene.broken_off(|scene| scene.kept_at() == 2 * PIECE));
    assert_eq!((again, scene.forgot.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn what_breaks_off_while_it_sends_costs_a_piece_at_most() {
    let scene = Scene::new(SIZE, false);
    let most = 3 * PIECE + PIECE / 2;
    scene.takes.store(most, Ordering::Relaxed);
    let again =
        run(scene.broken_off(|scene| lock(&scene.upload).as_ref().is_some_and(|u| u.len() as u64 >= most)));
    assert!(again <= PIECE, "{again}");
    // One that forgets costs what it had.
    let scene = Scene::new(SIZE, true);
    scene.takes.store(most, Ordering::Relaxed);
    let again =
        run(scene.broken_off(|scene| lock(&scene.upload).as_ref().is_some_and(|u| u.len() as u64 >= most)));
    assert!(again <= most + PIECE && scene.forgot.load(Ordering::Relaxed) == 1, "{again}");
}

#[test]
fn no_piece_begins_before_the_place_of_the_one_before_is_kept() {
    let scene = Scene::new(SIZE, true);
    run(async {
        let address = scene.serve().await;
        scene.copier(&address).blob(&scene.descriptor()).await.expect("copied");
    });
    let begun = lock(&scene.begun).clone();
    assert_eq!(begun, (0..5).map(|n| (n * PIECE, n * PIECE)).collect::<Vec<_>>());
}
