//! One registry: requests with what it asks for shown, repeated while that may help, and never before it wants to be
//! asked again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::backoff::{self, chance};
use super::challenge::{self, Challenge};
use super::credential::Credential;
use super::fault::{Fault, words};
use super::limit::{self, Quota, Turn};
use super::payload::Payload;
use super::transport::{Answer, Origin, Transport};
use crate::base::clock::{self, Nanos};

/// For the head of an answer to what reads.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a registry asks to wait for no longer than this is waited for; else the job is put off.
const WAIT: Duration = Duration::from_secs(60);
/// Tokens that are kept.
const TOKENS: usize = 4096;
const TOKEN_BYTES: usize = 64 << 10;
const ERROR_BYTES: usize = 64 << 10;
const REDIRECTS: usize = 5;
const AGENT: &str = concat!("isobar/", env!("CARGO_PKG_VERSION"));

/// How a registry is reached.
#[derive(Clone, Debug)]
pub struct Access {
    pub name: Arc<str>,
    pub origin: Origin,
    pub client: Arc<ClientConfig>,
    pub credential: Option<Credential>,
    /// Requests and transfers at once.
    pub most: usize,
}

pub struct Registry {
    pub access: Access,
    transport: Arc<Transport>,
    slots: Arc<Semaphore>,
    state: Mutex<State>,
    /// One at a time asks for a token.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    /// By scope.
    tokens: HashMap<String, (String, Nanos)>,
    /// Nothing is asked before.
    gate: Nanos,
    /// Of manifests.
    quota: Quota,
    requests: u64,
    limited: u64,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub method: Method,
    /// Path and query, or a whole address.
    pub target: String,
    /// `repository:<name>:pull,push`; several with blanks between.
    pub scope: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// Statuses that are answers rather than faults.
    pub good: &'a [u16],
    /// Whether it counts as a pull where pulls are counted.
    pub is_pull: bool,
}

impl Ask<'_> {
    pub fn new(method: Method, target: impl Into<String>, scope: impl Into<String>) -> Ask<'static> {
        Ask {
            method,
            target: target.into(),
            scope: scope.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            good: &[200],
            is_pull: false,
        }
    }

    fn what(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{} {}", self.method, path.split_once("/v2/").map_or(path, |(_, rest)| rest))
    }
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Registry {
    pub fn new(access: Access) -> Arc<Registry> {
        Arc::new(Registry {
            transport: Transport::new(access.client.clone()),
            slots: Arc::new(Semaphore::new(access.most.max(1))),
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            access,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn host(&self) -> &str {
        &self.access.origin.host
    }

    /// Requests so far, and how many of them were told to come back later.
    pub fn figures(&self) -> (u64, u64) {
        let state = self.state();
        (state.requests, state.limited)
    }

    /// A place among what is asked of it at once.
    pub async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.slots.clone().acquire_owned().await.ok()
    }

    /// An address of this registry, or a whole one that it gave.
    fn target(&self, target: &str) -> Result<(Origin, Uri), Fault> {
        let wrong = || Fault::Invalid(format!("{}: no address: {target}", self.host()));
        let uri: Uri = target.parse().map_err(|_| wrong())?;
        if uri.scheme().is_none() {
            return Ok((self.access.origin.clone(), uri));
        }
        let origin = Origin::of(&uri).ok_or_else(wrong)?;
        // A registry behind a proxy may not know how it is spoken to.
        let own = &self.access.origin;
        Ok((if origin.host == own.host { own.clone() } else { origin }, uri))
    }

    /// Waits until it may be asked, which it may not be for long.
    async fn gate(&self) -> Result<(), Fault> {
        loop {
            let until = self.state().gate;
            let wait = Duration::from_nanos(until.saturating_sub(clock::now_ns()));
            if wait.is_zero() {
                return Ok(());
            }
            self.wait(wait).await?;
        }
    }

    async fn wait(&self, wait: Duration) -> Result<(), Fault> {
        if wait > WAIT {
            return Err(Fault::Limited { host: self.host().to_owned(), wait });
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Waits until a pull is within the quota.
    async fn pull(&self, ask: &Ask<'_>) -> Result<Pull<'_>, Fault> {
        loop {
            self.gate().await?;
            let now = clock::now_ns();
            let turn = self.state().quota.begin(now);
            match turn {
                Turn::Go => return Ok(Pull(self)),
                Turn::At(until) => self.wait(Duration::from_nanos(until.saturating_sub(now))).await?,
                Turn::Ask => {
                    let asking = Asking(self);
                    let ask = Ask { method: Method::HEAD, is_pull: false, ..ask.clone() };
                    let answer = self.once(&ask).await?;
                    asking.end(Some(answer).filter(|a| a.head.status != StatusCode::TOO_MANY_REQUESTS));
                }
            }
        }
    }

    /// Asks until there is an answer: one of those that are good, or what says that no try will help.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Fault> {
        let (mut failed, mut shown) = (0, 0);
        loop {
            let _pull = match ask.is_pull {
                true => Some(self.pull(ask).await?),
                false => self.gate().await.map(|()| None)?,
            };
            let fault = match self.once(ask).await {
                Ok(answer) if ask.good.contains(&answer.head.status.as_u16()) => return Ok(answer),
                // Another host's challenge is not answered: it may ask for what is none of its business.
                Ok(answer)
                    if answer.head.status == StatusCode::UNAUTHORIZED
                        && *answer.origin() == self.access.origin
                        && shown < 2 =>
                {
                    shown += 1;
                    self.learn(answer, &ask.scope).await?;
                    continue;
                }
                Ok(answer) => self.fault(answer, ask.what()).await,
                Err(fault) => fault,
            };
            // The gate waits for as long as was asked; this bounds how often, and pauses where no gate was set.
            failed += 1;
            match backoff::REQUEST.after(failed, chance()).filter(|_| fault.is_passing()) {
                Some(wait) => {
                    tracing::debug!("mirror: try {failed}: {fault}");
                    tokio::time::sleep(wait).await;
                }
                None => return Err(fault),
            }
        }
    }

    /// One try of a request with a body that cannot be had twice. The caller knows what to do when it fails.
    pub async fn send(&self, ask: &Ask<'_>, payload: Payload, patience: Duration) -> Result<Answer, Fault> {
        self.gate().await?;
        self.shows(&ask.scope).await?;
        let (origin, uri) = self.target(&ask.target)?;
        let mut payload = Some(payload);
        let make = || match payload.take() {
            Some(payload) => self.request(ask, &origin, &uri, payload),
            None => Err(Fault::Io { host: origin.host.clone(), why: "the connection ended".into() }),
        };
        let answer = self.transport.send(&origin, patience, make).await?;
        if *answer.origin() == self.access.origin {
            self.heed(&answer, false);
        }
        match answer.head.status {
            status if ask.good.contains(&status.as_u16()) => Ok(answer),
            StatusCode::UNAUTHORIZED if *answer.origin() == self.access.origin => {
                self.learn(answer, &ask.scope).await?;
                Err(Fault::Io {
                    host: self.host().to_owned(),
                    why: "the token was not accepted any more".into(),
                })
            }
            _ => Err(self.fault(answer, ask.what()).await),
        }
    }

    async fn once(&self, ask: &Ask<'_>) -> Result<Answer, Fault> {
        self.shows(&ask.scope).await?;
        let mut target = ask.target.clone();
        for _ in 0..REDIRECTS {
            let (origin, uri) = self.target(&target)?;
            let make = || self.request(ask, &origin, &uri, Payload::Bytes(ask.body.clone()));
            let answer = self.transport.send(&origin, PATIENCE, make).await?;
            if origin == self.access.origin {
                self.heed(&answer, ask.is_pull);
            }
            let is_read = matches!(ask.method, Method::GET | Method::HEAD);
            let status = answer.head.status.as_u16();
            match answer.header("location") {
                Some(to) if is_read && matches!(status, 301 | 302 | 303 | 307 | 308) => {
                    target = absolute(&origin, to);
                    let _ = answer.whole(ERROR_BYTES).await;
                }
                _ => return Ok(answer),
            }
        }
        Err(Fault::Invalid(format!("{}: {}: sent from place to place", self.host(), ask.what())))
    }

    fn request(
        &self,
        ask: &Ask<'_>,
        origin: &Origin,
        uri: &Uri,
        payload: Payload,
    ) -> Result<Request<Payload>, Fault> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder().method(&ask.method).uri(path).header("host", &origin.host);
        request = request.header("user-agent", AGENT);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        // Nobody else is shown who this is.
        if *origin == self.access.origin
            && let Some(shown) = self.shown(&ask.scope)
        {
            request = request.header(HeaderName::from_static("authorization"), shown);
        }
        self.state().requests += 1;
        request.body(payload).map_err(|e| Fault::Invalid(format!("{}: {}: {e}", self.host(), ask.what())))
    }

    fn shown(&self, scope: &str) -> Option<HeaderValue> {
        let state = self.state();
        let text = match &state.challenge {
            Some(Challenge::Bearer { .. }) => format!("Bearer {}", state.tokens.get(scope)?.0),
            Some(Challenge::Basic) => self.access.credential.as_ref()?.basic(),
            None => return None,
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Has a token for a scope before it is needed, where tokens are asked for.
    async fn shows(&self, scope: &str) -> Result<(), Fault> {
        let now = clock::now_ns();
        let challenge = {
            let state = self.state();
            let has = state.tokens.get(scope).is_some_and(|(_, until)| now < *until);
            state.challenge.clone().filter(|challenge| matches!(challenge, Challenge::Bearer { .. }) && !has)
        };
        match challenge {
            Some(challenge) => self.token(&challenge, scope).await,
            None => Ok(()),
        }
    }

    /// Learns from an answer what is to be shown.
    async fn learn(&self, answer: Answer, scope: &str) -> Result<(), Fault> {
        let all = answer.head.headers.get_all("www-authenticate").iter().filter_map(|v| v.to_str().ok());
        let text = all.collect::<Vec<_>>().join(", ");
        let (_, body) = answer.whole(ERROR_BYTES).await?;
        let denied = |why: &str| Fault::Unauthorized { host: self.host().to_owned(), why: why.into() };
        match challenge::parse(&text) {
            Some(Challenge::Basic) => {
                let before = self.state().challenge.replace(Challenge::Basic);
                match (&self.access.credential, before) {
                    (None, _) => Err(denied("asks for a name and a password, and none is configured")),
                    (Some(_), Some(Challenge::Basic)) => Err(denied("does not take this name and password")),
                    _ => Ok(()),
                }
            }
            Some(challenge) => {
                {
                    let mut state = self.state();
                    state.tokens.remove(scope);
                    state.challenge = Some(challenge.clone());
                }
                self.token(&challenge, scope).await
            }
            None => Err(denied(&format!("401 {}", words(&body)))),
        }
    }

    async fn token(&self, challenge: &Challenge, scope: &str) -> Result<(), Fault> {
        let Challenge::Bearer { realm, service, scope: asked } = challenge else { return Ok(()) };
        let _one = self.asking.lock().await;
        let now = clock::now_ns();
        if self.state().tokens.get(scope).is_some_and(|(_, until)| now < *until) {
            return Ok(());
        }
        let denied = |why: String| Fault::Unauthorized { host: self.host().to_owned(), why };
        let scopes = if scope.is_empty() { asked.as_str() } else { scope };
        let (origin, uri) = self.target(realm)?;
        if self.access.origin.is_secure && !origin.is_secure {
            return Err(denied(format!("its tokens come without TLS ({realm})")));
        }
        let identity = self.access.credential.as_ref().filter(|c| !c.identity.is_empty());
        let mut fields = vec![("service", service.as_str())];
        fields.extend(scopes.split(' ').filter(|s| !s.is_empty()).map(|s| ("scope", s)));
        if let Some(credential) = identity {
            fields.extend([
                ("grant_type", "refresh_token"),
                ("refresh_token", &credential.identity),
                ("client_id", "isobar"),
            ]);
        }
        let form: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let form = form.join("&");
        let make = || {
            let join = if uri.query().is_some() { '&' } else { '?' };
            let path = uri.path_and_query().map_or("/", |p| p.as_str());
            let mut request = Request::builder().header("host", &origin.host).header("user-agent", AGENT);
            let body = match identity {
                Some(_) => {
                    request = request
                        .method("POST")
                        .uri(path)
                        .header("content-type", "application/x-www-form-urlencoded");
                    Bytes::from(form.clone())
                }
                None => {
                    request = request.method("GET").uri(format!("{path}{join}{form}"));
                    if let Some(credential) = &self.access.credential {
                        request = request.header("authorization", credential.basic());
                    }
                    Bytes::new()
                }
            };
            request.body(Payload::Bytes(body)).map_err(|e| Fault::Invalid(e.to_string()))
        };
        let answer = self.transport.send(&origin, PATIENCE, make).await?;
        if answer.head.status != StatusCode::OK {
            let fault = self.fault(answer, "token".into()).await;
            return Err(if fault.is_passing() { fault } else { denied(fault.to_string()) });
        }
        let (_, body) = answer.whole(TOKEN_BYTES).await?;
        let token: Token = serde_json::from_slice(&body).map_err(|e| denied(format!("no token: {e}")))?;
        let text = if token.token.is_empty() { token.access_token } else { token.token };
        // Renewed before it is over: an upload is not to be sent in vain.
        let lasts = Duration::from_secs(token.expires_in.unwrap_or(60).clamp(1, 86_400)) * 4 / 5;
        let mut state = self.state();
        if state.tokens.len() >= TOKENS {
            state.tokens.clear();
        }
        state.tokens.insert(scope.to_owned(), (text, now + lasts.as_nanos() as Nanos));
        Ok(())
    }

    /// Heeds what an answer says of limits.
    fn heed(&self, answer: &Answer, is_pull: bool) {
        let now = clock::now_ns();
        let status = answer.head.status.as_u16();
        let mut state = self.state();
        let (most, left) = (answer.header("ratelimit-limit"), answer.header("ratelimit-remaining"));
        state.quota.hear(most, left, is_pull, now);
        if matches!(status, 429 | 503) {
            let said =
                answer.header("retry-after").and_then(|t| limit::retry_after(t, clock::wall().as_secs()));
            if let Some(wait) = said.or((status == 429).then_some(Duration::from_secs(1))) {
                state.gate = state.gate.max(now + wait.as_nanos() as Nanos);
            }
            state.limited += u64::from(status == 429);
        }
    }

    /// What is wrong with an answer.
    async fn fault(&self, answer: Answer, what: String) -> Fault {
        let (status, host) = (answer.head.status.as_u16(), self.host().to_owned());
        if status == 429 {
            return Fault::Limited { host, wait: Duration::from_secs(1) };
        }
        let body = answer.whole(ERROR_BYTES).await.map(|(_, body)| body).unwrap_or_default();
        match status {
            401 | 403 => Fault::Unauthorized { host, why: format!("{what}: {status} {}", words(&body)) },
            _ => Fault::Status { host, what, status, words: words(&body) },
        }
    }
}

/// A pull that is under way.
struct Pull<'a>(&'a Registry);

impl Drop for Pull<'_> {
    fn drop(&mut self) {
        self.0.state().quota.end();
    }
}

/// Somebody asks how many pulls are left. Who gives up is as who had no answer.
struct Asking<'a>(&'a Registry);

impl Asking<'_> {
    fn end(self, answer: Option<Answer>) {
        let Some(answer) = answer else { return };
        let (most, left) = (answer.header("ratelimit-limit"), answer.header("ratelimit-remaining"));
        self.0.state().quota.asked(true, most, left, clock::now_ns());
        std::mem::forget(self);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.state().quota.asked(false, None, None, clock::now_ns());
    }
}

/// What a registry says of where something is.
pub fn absolute(origin: &Origin, location: &str) -> String {
    if location.starts_with('/') {
        let scheme = if origin.is_secure { "https" } else { "http" };
        return format!("{scheme}://{}{location}", origin.host);
    }
    location.to_owned()
}

/// A value in a query.
pub fn escaped(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}
