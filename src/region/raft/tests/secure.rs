//! Members that show each other certificates.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::cluster::*;
use crate::region::raft::Tls;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA"))
    }

    fn tls(&self) -> Tls {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".into()]).expect("parameters");
        let chain = vec![params.signed_by(&key, &self.0).expect("a certificate").der().clone()];
        let private = || PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .expect("a verifier");
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), private())
            .expect("a server");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, private())
            .expect("a client");
        Tls { server: Arc::new(server), client: Arc::new(client) }
    }
}

#[test]
fn members_with_certificates_of_one_ca_form_a_cluster_and_no_others_join() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (first, second, third) = (free_address(), free_address(), free_address());
    let known = vec![first.1.clone(), second.1.clone()];
    let node = |name: &str, listener, tls| {
        let retry_join = known.clone();
        let options = Options {
            name: name.into(),
            bind: Some(listener),
            retry_join,
            expect: Some(2),
            ..Options::default()
        };
        start(Options { tls, ..options }).expect("a node")
    };
    let (seat, _one) = node("n1", first.0, Some(ours.tls()));
    let (other, _two) = node("n2", second.0, Some(ours.tls()));
    until("a leader", || seat.leader());
    runtime.block_on(seat.propose(put("a", "1"))).expect("a put");
    until("it on the other", || value(&other, "a"));
    let (stranger, three) = node("n3", third.0, Some(theirs.tls()));
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(three.id(), 0, "no member");
    assert!(stranger.leader().is_none());
}
