//! TLS of the member port where the cluster has an authority of its own: who may connect as what, and how this node
//! connects to others. Certificates change without a restart: each connection takes the newest.
//!
//! The protocol of the application layer (ALPN) says what a connection is for:
//!
//! | name | who | may |
//! |---|---|---|
//! | `isobar-member` | shows a certificate of the cluster's authority | everything |
//! | `isobar-join` | shows nothing; knows by a join token's digest whom it talks to | ask to be admitted, with the token; ask for a member's next certificate, with its key |
//! | `isobar-found` | both sides prove that they know the secret of the first nodes ([`super::proof`]) | meet, and form the first cluster |

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::super::raft::connection::{Dialed, Dialer, Stream};
use super::super::raft::guest::Guest;
use super::authority::{self, Authority, Holder};
use super::credential::{Credential, CredentialError, Key, key_of, member_name, member_of, roots_of};
use super::pin::Pin;
use super::proof::{self, Side};
use super::ring::Ring;
use super::token::{Admission, Digest};
use super::verifier::Pinned;
use crate::base::clock;
use crate::base::live::Live;
use crate::region::store::snapshot::write_private;
use crate::tls::{self, Anyone, Authorities, Certified, Client, Clients, Secure, Server, Servers, Versions};

const MEMBER: &[u8] = b"isobar-member";
const JOIN: &[u8] = b"isobar-join";
const FOUND: &[u8] = b"isobar-found";
/// The authority of the one that formed the cluster, until it is in the map.
const AUTHORITY: &str = "authority.pem";
/// Certificates of the authorities that are believed, as the map said last, and what they say of each other.
const ROOTS: &str = "roots.pem";
const CROSS: &str = "cross.pem";

#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Authority(#[from] super::authority::AuthorityError),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error("the certificate is {0}")]
    Wrong(&'static str),
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
}

/// What this node shows and whom it believes.
pub struct Trust {
    dir: PathBuf,
    key: Key,
    request: Bytes,
    founding: Option<proof::Secret>,
    ring: Ring,
    believed: Live<Believed>,
    standing: Live<Standing>,
    /// One at a time changes whom it believes or what it has: each is made with the other.
    changing: Mutex<()>,
    /// There is an authority that is not in the map yet.
    unpublished: AtomicBool,
}

/// Whom the map says to believe.
#[derive(Default)]
struct Believed {
    texts: (Bytes, Bytes),
    /// The present one first; none before the map says so.
    roots: Vec<CertificateDer<'static>>,
    /// Given by those before to those after them.
    cross: Vec<CertificateDer<'static>>,
}

impl Believed {
    fn parse(roots: Bytes, cross: Bytes) -> Result<Believed, TrustError> {
        let (is, said) = (authority::from_pem(&roots)?, authority::from_pem(&cross)?);
        Ok(Believed { texts: (roots, cross), roots: is, cross: said })
    }
}

/// What follows from the certificate that it has.
#[derive(Default)]
struct Standing {
    credential: Option<Credential>,
    server: Option<Arc<ServerConfig>>,
    client: Option<Arc<ClientConfig>>,
}

impl Trust {
    /// With the key and the certificate in a `data-dir`; the key is drawn if there is none.
    pub fn open(dir: &Path, admission: Option<&Admission>) -> Result<Arc<Trust>, TrustError> {
        let key = Key::open(dir)?;
        let founding = match admission {
            Some(Admission::Founding(secret)) => Some(proof::Secret::new(secret)),
            _ => None,
        };
        let request = key.request()?;
        let read = |name: &str| super::credential::read(&dir.join(name));
        let text = |name: &str| Ok::<Bytes, TrustError>(read(name)?.unwrap_or_default().into());
        let believed = Believed::parse(text(ROOTS)?, text(CROSS)?)?;
        let trust = Trust {
            key,
            request,
            founding,
            ring: Ring::open(dir)?,
            believed: Live::new(believed),
            standing: Live::default(),
            changing: Mutex::default(),
            unpublished: AtomicBool::new(read(AUTHORITY)?.is_some()),
            dir: dir.to_owned(),
        };
        let standing = match Credential::open(dir)? {
            Some(credential) => trust.standing_of(credential)?,
            None => trust.standing_of_none()?,
        };
        trust.standing.store(Arc::new(standing));
        Ok(Arc::new(trust))
    }

    /// A request for a certificate for this node's key.
    pub fn request(&self) -> Bytes {
        self.request.clone()
    }

    /// The keys of the cluster's secrets, as far as this node has them.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Whether it needs another certificate: it has none, or one of another id or authority, or it is time.
    pub fn wants(&self, id: u64, now: Duration) -> bool {
        let present = self.believed.with(|b| b.roots.first().cloned());
        let is_past = |c: &Credential| present.is_some() && c.chain.get(1) != present.as_ref();
        self.standing
            .with(|s| s.credential.as_ref().is_none_or(|c| c.id != id || c.is_due(now) || is_past(c)))
    }

    /// What the map is to know of its certificate.
    pub(super) fn pin(&self) -> Option<Pin> {
        Some(Pin { key: self.key.digest(), signer: self.authority_digest()? })
    }

    /// Digests of the authorities that it believes.
    pub fn roots(&self) -> Vec<Digest> {
        let mut roots: Vec<Digest> =
            self.believed.with(|b| b.roots.iter().map(|root| super::token::digest_of(root)).collect());
        roots.extend(self.authority_digest().filter(|_| roots.is_empty()));
        roots
    }

    /// Whether it believes whom the map says (the texts of the two records).
    pub fn believes(&self, roots: &Bytes, cross: &Bytes) -> bool {
        self.believed.with(|b| b.texts.0 == *roots && b.texts.1 == *cross)
    }

    /// Believes whom the map says from now on. Blocks on the disk.
    pub fn believe(&self, roots: &Bytes, cross: &Bytes) -> Result<(), TrustError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let believed = Believed::parse(roots.clone(), cross.clone())?;
        for (name, text) in [(ROOTS, roots), (CROSS, cross)] {
            let path = self.dir.join(name);
            write_private(&path, text).map_err(|e| TrustError::Io(path.display().to_string(), e))?;
        }
        self.believed.store(Arc::new(believed));
        if let Some(credential) = self.standing.load().credential.clone() {
            self.standing.store(Arc::new(self.standing_of(credential)?));
        }
        Ok(())
    }

    /// Takes a certificate of the present authority; see [`Trust::take`].
    pub fn take_believed(&self, chain: &[u8], id: u64) -> Result<(), CredentialError> {
        let present = self.roots().first().copied();
        self.take(chain, id, present).map_err(|e| CredentialError::Refused(e.to_string()))
    }

    /// Whether the certificate that it has holds now.
    pub fn holds(&self, now: Duration) -> bool {
        self.standing.with(|s| s.credential.as_ref().is_some_and(|c| c.from <= now && now < c.until))
    }

    /// Of the authority that it believes.
    pub fn authority_digest(&self) -> Option<Digest> {
        self.standing.with(|s| {
            let authority = s.credential.as_ref()?.chain.get(1)?;
            Some(super::token::digest_of(authority))
        })
    }

    /// Takes a certificate for the member `id`, keeps it, and shows it from now on. `authority`: who must have signed.
    /// Blocks on the disk.
    pub fn take(&self, chain: &[u8], id: u64, authority: Option<Digest>) -> Result<(), TrustError> {
        let credential = Credential::from_pem(chain)?;
        credential.check(clock::wall())?;
        if credential.id != id {
            return Err(TrustError::Wrong("of another member"));
        }
        if !credential.is_of(&self.key) {
            return Err(TrustError::Wrong("for another key"));
        }
        let signer = credential.chain.get(1).map(|ca| super::token::digest_of(ca));
        if authority.is_some() && authority != signer {
            return Err(TrustError::Wrong("of another authority than the join token names"));
        }
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = self.standing_of(credential)?;
        Credential::keep(&self.dir, chain)?;
        self.standing.store(Arc::new(standing));
        Ok(())
    }

    /// The authority of a cluster that this node forms: made once, kept in the `data-dir` until it is in the map.
    /// Blocks on the disk.
    pub fn found(&self, cluster: u128) -> Result<Authority, TrustError> {
        if let Some(authority) = self.unpublished()? {
            return Ok(authority);
        }
        let authority = Authority::found(cluster, clock::wall())?;
        let path = self.dir.join(AUTHORITY);
        write_private(&path, &authority.to_pem())
            .map_err(|e| TrustError::Io(path.display().to_string(), e))?;
        self.unpublished.store(true, Ordering::Release);
        Ok(authority)
    }

    /// Makes its own certificate.
    pub fn issue_own(&self, authority: &Authority, id: u64, name: &str) -> Result<(), TrustError> {
        let chain = authority.issue(&self.request, Holder { id, name }, clock::wall())?;
        self.take(&chain, id, Some(authority.digest()))
    }

    /// The authority that is not in the map yet.
    pub fn unpublished(&self) -> Result<Option<Authority>, TrustError> {
        let text = super::credential::read(&self.dir.join(AUTHORITY))?;
        Ok(text.map(|text| Authority::from_pem(&text)).transpose()?)
    }

    pub fn has_unpublished(&self) -> bool {
        self.unpublished.load(Ordering::Acquire)
    }

    /// It is in the map now.
    pub fn published(&self) {
        if std::fs::remove_file(self.dir.join(AUTHORITY)).is_ok() {
            self.unpublished.store(false, Ordering::Release);
        }
    }

    fn standing_of(&self, credential: Credential) -> Result<Standing, TrustError> {
        let believed = self.believed.load();
        let authority = match believed.roots.is_empty() {
            true => Authorities::from(credential.roots()?),
            false => Authorities::from(roots_of(&believed.roots)?),
        };
        let protocols = [MEMBER, JOIN].into_iter().chain(self.founding.as_ref().map(|_| FOUND));
        let shown =
            |most: usize| credential.chain.iter().take(most).chain(&believed.cross).cloned().collect();
        let chain = self.key.certified(shown(2))?;
        // One that joins has nothing to show yet; the protocol it asks for says what it may do.
        let server = listening(&chain, Clients::Optional(authority.clone()), protocols)?;
        let own = self.key.certified(shown(1))?;
        let client = dialing(Servers::Signed(authority), Some(own), MEMBER)?;
        Ok(Standing { credential: Some(credential), server: Some(server), client: Some(client) })
    }

    /// Without a certificate there is nothing to do here but to meet others of whom the same is true.
    fn standing_of_none(&self) -> Result<Standing, TrustError> {
        if self.founding.is_none() {
            return Ok(Standing::default());
        }
        let own = self.key.certified(vec![self.key.self_signed()?])?;
        let server = listening(&own, Clients::Any, [FOUND])?;
        Ok(Standing { server: Some(server), ..Standing::default() })
    }

    /// Shakes hands with who connected, and says who that is.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(Box<dyn Stream>, Guest)> {
        let server = self.standing.load().server.clone();
        let server = server.ok_or_else(|| refused("this node is of no cluster yet"))?;
        let mut stream = TlsAcceptor::from(server).accept(stream).await?;
        let (_, connection) = stream.get_ref();
        let shown = connection.peer_certificates().and_then(|chain| chain.first());
        let guest = match (connection.alpn_protocol(), shown) {
            (Some(MEMBER), Some(certificate)) => {
                let member = member_of(certificate).zip(key_of(certificate));
                let (id, key) = member.ok_or_else(|| refused("a certificate of no member"))?;
                Guest::Member(id, key)
            }
            (Some(MEMBER), None) => return Err(refused("a member without a certificate")),
            (Some(JOIN), _) => Guest::Stranger,
            (Some(FOUND), _) => {
                let secret = self.founding.as_ref().ok_or_else(|| refused("no founding here"))?;
                let material = proof::material(|out, label| {
                    connection.export_keying_material(out, label, None).map(drop)
                })?;
                proof::exchange(&mut stream, secret, &material, Side::Server).await?;
                Guest::Founder
            }
            _ => return Err(refused("it does not say what it is for")),
        };
        Ok((Box::new(stream), guest))
    }

    /// Connects as a member.
    pub fn members(self: &Arc<Self>) -> Arc<dyn Dialer> {
        Arc::new(AsMember(self.clone()))
    }

    /// Connects as one of those who form the first cluster. `None` without their secret.
    pub fn founders(self: &Arc<Self>) -> Option<Arc<dyn Dialer>> {
        let secret = self.founding.clone()?;
        let client = anonymous(Arc::new(Anyone), FOUND).ok()?;
        Some(Arc::new(AsFounder { client, secret }))
    }
}

/// Connects as one that has nothing but a token of a cluster whose CA has this digest.
pub fn joining(authority: Digest) -> Result<Arc<dyn Dialer>, TrustError> {
    let client = anonymous(Arc::new(Pinned::new(authority)), JOIN)?;
    Ok(Arc::new(AsJoiner(client)))
}

fn anonymous(
    verifier: Arc<dyn ServerCertVerifier>,
    protocol: &[u8],
) -> Result<Arc<ClientConfig>, tls::Error> {
    dialing(Servers::Verified(verifier), None, protocol)
}

/// No session resumes, on either side: it would go on with an old certificate.
fn listening<'a>(
    shows: &Certified,
    clients: Clients,
    protocols: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Arc<ServerConfig>, tls::Error> {
    let alpn = protocols.into_iter().map(<[u8]>::to_vec).collect();
    Server { shows: shows.alone(), clients, versions: Versions::Newest, alpn, resumes: false }.config()
}

fn dialing(
    servers: Servers,
    shows: Option<Certified>,
    protocol: &[u8],
) -> Result<Arc<ClientConfig>, tls::Error> {
    Client { servers, shows, versions: Versions::Newest, alpn: vec![protocol.to_vec()], resumes: false }
        .config()
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

type Secured = tokio_rustls::client::TlsStream<TcpStream>;

async fn connect(client: Arc<ClientConfig>, address: &str) -> io::Result<Secured> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // Members are known by who signed, not by where they are.
    Secure::named(client, member_name()).over(stream).await
}

struct AsMember(Arc<Trust>);

impl Dialer for AsMember {
    fn dial<'a>(&'a self, address: &'a str) -> Dialed<'a> {
        Box::pin(async move {
            let client = self.0.standing.load().client.clone();
            let client = client.ok_or_else(|| refused("this node has no certificate yet"))?;
            Ok(Box::new(connect(client, address).await?) as Box<dyn Stream>)
        })
    }
}

struct AsJoiner(Arc<ClientConfig>);

impl Dialer for AsJoiner {
    fn dial<'a>(&'a self, address: &'a str) -> Dialed<'a> {
        Box::pin(async move { Ok(Box::new(connect(self.0.clone(), address).await?) as Box<dyn Stream>) })
    }
}

struct AsFounder {
    client: Arc<ClientConfig>,
    secret: proof::Secret,
}

impl Dialer for AsFounder {
    fn dial<'a>(&'a self, address: &'a str) -> Dialed<'a> {
        Box::pin(async move {
            let mut stream = connect(self.client.clone(), address).await?;
            let (_, connection) = stream.get_ref();
            let material =
                proof::material(|out, label| connection.export_keying_material(out, label, None).map(drop))?;
            proof::exchange(&mut stream, &self.secret, &material, Side::Client).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::region::member::authority::LIFE;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    struct Place {
        _dir: tempfile::TempDir,
        trust: Arc<Trust>,
    }

    fn place(admission: Option<&str>) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let admission = admission.map(|text| Admission::parse(text).unwrap());
        let trust = Trust::open(dir.path(), admission.as_ref()).unwrap();
        Place { _dir: dir, trust }
    }

    fn member(authority: &Authority, id: u64) -> Place {
        let place = place(Some(SECRET));
        place.trust.issue_own(authority, id, "n").unwrap();
        place
    }

    fn authority() -> Authority {
        Authority::found(1, clock::wall()).unwrap()
    }

    /// What the one that listens makes of one that connects.
    async fn meet(
        server: &Arc<Trust>,
        dial: impl AsyncFnOnce(String) -> io::Result<Box<dyn Stream>>,
    ) -> io::Result<Guest> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address: SocketAddr = listener.local_addr()?;
        let accept = async {
            let (stream, _) = listener.accept().await?;
            let (stream, guest) = server.accept(stream).await?;
            Ok((stream, guest))
        };
        let accept = tokio::time::timeout(Duration::from_secs(3), accept);
        let (accepted, _dialed) = tokio::join!(accept, dial(address.to_string()));
        accepted.unwrap_or_else(|_| Err(refused("nobody came"))).map(|(_, guest)| guest)
    }

    async fn by(server: &Arc<Trust>, dialer: Arc<dyn Dialer>) -> io::Result<Guest> {
        meet(server, async |address| dialer.dial(&address).await).await
    }

    #[tokio::test]
    async fn who_connects_is_known_by_what_it_shows() {
        let ours = authority();
        let server = member(&ours, 1).trust;
        let two = member(&ours, 2).trust;
        assert_eq!(by(&server, two.members()).await.unwrap(), Guest::Member(2, two.key.digest()));
        assert_eq!(by(&server, joining(ours.digest()).unwrap()).await.unwrap(), Guest::Stranger);
        assert_eq!(by(&server, two.founders().unwrap()).await.unwrap(), Guest::Founder);
        let other = place(Some(&SECRET.to_uppercase())).trust;
        assert!(by(&server, other.founders().unwrap()).await.is_err(), "another secret");
        assert!(by(&server, place(None).trust.members()).await.is_err(), "nothing to show");
        assert!(by(&server, joining([7; 32]).unwrap()).await.is_err(), "a token of another cluster");
    }

    /// Connects with what `trust` shows, to whomever, in some protocol.
    async fn brazen(server: &Arc<Trust>, trust: &Trust, with: bool, protocol: &[u8]) -> io::Result<Guest> {
        let credential = trust.standing.load().credential.clone().filter(|_| with);
        let shows = credential.map(|credential| trust.key.certified(credential.chain).unwrap());
        let client = dialing(Servers::Verified(Arc::new(Anyone)), shows, protocol).unwrap();
        meet(server, async |address| {
            let mut stream = connect(client, &address).await?;
            // The server says what it thinks of a certificate when the client believes to be done.
            use tokio::io::AsyncReadExt;
            let _ = tokio::time::timeout(Duration::from_secs(1), stream.read_u8()).await;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
        .await
    }

    #[tokio::test]
    async fn a_certificate_of_another_ca_is_worth_nothing() {
        let (ours, theirs) = (authority(), authority());
        let server = member(&ours, 1).trust;
        let stranger = member(&theirs, 2).trust;
        let refused = brazen(&server, &stranger, true, MEMBER).await.unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{refused}");
        assert!(brazen(&server, &stranger, true, JOIN).await.is_err());
        let refused = brazen(&server, &stranger, false, MEMBER).await.unwrap_err();
        assert_eq!(refused.to_string(), "a member without a certificate");
        assert!(brazen(&server, &stranger, false, b"http/1.1").await.is_err());
        let own = member(&ours, 3).trust;
        assert_eq!(brazen(&server, &own, true, MEMBER).await.unwrap(), Guest::Member(3, own.key.digest()));
    }

    #[tokio::test]
    async fn before_there_is_a_cluster_only_those_meet_who_share_a_secret() {
        let (one, two) = (place(Some(SECRET)).trust, place(Some(SECRET)).trust);
        assert_eq!(by(&one, two.founders().unwrap()).await.unwrap(), Guest::Founder);
        assert!(by(&one, member(&authority(), 2).trust.members()).await.is_err());
        let waits = place(None).trust;
        assert!(waits.founders().is_none());
        assert!(by(&waits, two.founders().unwrap()).await.is_err());
    }

    #[tokio::test]
    async fn a_new_certificate_is_shown_without_a_restart() {
        let ours = authority();
        let (one, two) = (place(None), place(None));
        for (n, place) in [&one, &two].into_iter().enumerate() {
            let id = n as u64 + 1;
            let old = clock::wall() - LIFE * 2 / 3;
            let holder = Holder { id, name: "n" };
            let chain = ours.issue(&place.trust.request(), holder, old).unwrap();
            place.trust.take(&chain, id, None).unwrap();
            assert!(place.trust.wants(id, clock::wall()) && place.trust.holds(clock::wall()));
        }
        let shown = |trust: &Trust| trust.standing.load().credential.clone().unwrap().chain[0].clone();
        let before = shown(&one.trust);
        let dialer = two.trust.members();
        assert_eq!(by(&one.trust, dialer.clone()).await.unwrap().member(), Some(2));
        one.trust.issue_own(&ours, 1, "n").unwrap();
        two.trust.issue_own(&ours, 2, "n").unwrap();
        assert!(shown(&one.trust) != before && !one.trust.wants(1, clock::wall()));
        assert_eq!(by(&one.trust, dialer).await.unwrap().member(), Some(2));
        let kept = Credential::open(one._dir.path()).unwrap().unwrap();
        assert_eq!(kept.chain[0], shown(&one.trust));
    }

    #[test]
    fn a_certificate_for_another_is_not_taken() {
        let (ours, theirs) = (authority(), authority());
        let places = (place(None), place(None));
        let (one, two) = (&places.0.trust, &places.1.trust);
        let now = clock::wall();
        let chain = |authority: &Authority, trust: &Arc<Trust>, at| {
            authority.issue(&trust.request(), Holder { id: 1, name: "n" }, at).unwrap()
        };
        let why = |result: Result<(), TrustError>| result.unwrap_err().to_string();
        assert_eq!(why(one.take(&chain(&ours, one, now), 2, None)), "the certificate is of another member");
        assert_eq!(why(one.take(&chain(&ours, two, now), 1, None)), "the certificate is for another key");
        let other = one.take(&chain(&theirs, one, now), 1, Some(ours.digest()));
        assert!(why(other).contains("of another authority"));
        assert!(one.take(&chain(&ours, one, now - LIFE * 2), 1, None).is_err(), "it is over");
        assert!(one.take(b"", 1, None).is_err());
        assert!(one.wants(1, now));
        one.take(&chain(&ours, one, now), 1, Some(ours.digest())).unwrap();
        assert!(!one.wants(1, now) && one.wants(2, now));
        assert_eq!(one.authority_digest(), Some(ours.digest()));
    }
}
