//! Both configurations over a pipe.

use std::sync::Arc;

use rcgen::PKCS_ECDSA_P256_SHA256;
use tokio_rustls::TlsAcceptor;

use crate::tls::testing::{Issuer, params};
use crate::tls::{
    Anyone, Authorities, Certified, Client, Clients, Pem, Secure, Server, Servers, Store, Versions,
};

fn server(store: Store, clients: Clients) -> Server {
    let alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Server { shows: Arc::new(store), clients, versions: Versions::Both, alpn, resumes: false }
}

fn client(servers: Servers, shows: Option<Certified>) -> Client {
    Client { servers, shows, versions: Versions::Newest, alpn: vec![b"http/1.1".to_vec()], resumes: false }
}

fn store(certified: &Certified) -> Store {
    let mut store = Store::default();
    store.add(certified);
    store
}

/// What each side says, the server first.
async fn meet(server: Server, client: Client, name: &str) -> (Result<(), String>, Result<(), String>) {
    let acceptor = TlsAcceptor::from(server.config().unwrap());
    let secure = Secure::new(client.config().unwrap(), &format!("{name}:443")).unwrap();
    let (near, far) = tokio::io::duplex(64 << 10);
    let (accepted, dialed) = tokio::join!(acceptor.accept(far), secure.over(near));
    if let (Ok(accepted), Ok(_)) = (&accepted, &dialed) {
        assert_eq!(accepted.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    let text = |e: std::io::Error| e.to_string();
    (accepted.map(drop).map_err(text), dialed.map(drop).map_err(text))
}

#[tokio::test]
async fn a_server_is_believed_by_name_and_signer() {
    let (ours, theirs) = (Issuer::new(), Issuer::new());
    let shows = ours.certified(&["a.test", "*.w.test"]);
    let met = async |servers, name: &str| {
        meet(server(store(&shows), Clients::Any), client(servers, None), name).await.1
    };
    let signed = |issuer: &Issuer| Servers::Signed(issuer.authorities());
    assert_eq!(met(signed(&ours), "a.test").await, Ok(()));
    assert_eq!(met(signed(&ours), "x.w.test").await, Ok(()));
    assert!(met(signed(&ours), "b.test").await.unwrap_err().contains("b.test"));
    assert!(met(signed(&theirs), "a.test").await.unwrap_err().contains("BadSignature"));
    let nobody = Arc::new(rustls::RootCertStore::empty());
    assert!(met(Servers::Signed(Authorities::from(nobody)), "a.test").await.is_err());
    assert_eq!(met(Servers::Verified(Arc::new(Anyone)), "b.test").await, Ok(()));
}

#[tokio::test]
async fn an_expired_certificate_is_shown_and_refused_by_who_looks() {
    let issuer = Issuer::new();
    let mut params = params(&["a.test"]);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let old = issuer.issue(params, &PKCS_ECDSA_P256_SHA256).certified();
    let looks = client(Servers::Signed(issuer.authorities()), None);
    let (_, dialed) = meet(server(store(&old), Clients::Any), looks, "a.test").await;
    assert!(dialed.clone().unwrap_err().contains("certificate expired"), "{dialed:?}");
}

#[tokio::test]
async fn a_client_is_asked_for_a_certificate_that_is_not_revoked() {
    let issuer = Issuer::new();
    let shows = store(&issuer.certified(&["a.test"]));
    let mut params = params(&["client"]);
    params.serial_number = Some(7.into());
    let own = issuer.issue(params, &PKCS_ECDSA_P256_SHA256).certified();
    let stranger = Issuer::new().certified(&["client"]);
    let revoking = |serial, until| {
        let list = Pem::parse("crl.pem", issuer.revoke(serial, until).as_bytes()).unwrap();
        Clients::Required(issuer.authorities().revoking(&list).unwrap())
    };
    let shows = Arc::new(shows);
    let met = async |clients: Clients, own: Option<&Certified>| {
        let server = Server { shows: shows.clone(), ..server(Store::default(), clients) };
        meet(server, client(Servers::Verified(Arc::new(Anyone)), own.cloned()), "a.test").await.0
    };
    let required = || Clients::Required(issuer.authorities());
    let optional = || Clients::Optional(issuer.authorities());
    assert_eq!(met(required(), Some(&own)).await, Ok(()));
    assert_eq!(met(optional(), None).await, Ok(()));
    assert!(met(required(), None).await.is_err());
    assert!(met(optional(), Some(&stranger)).await.unwrap_err().contains("BadSignature"));
    assert_eq!(met(revoking(8, 2100), Some(&own)).await, Ok(()));
    assert!(met(revoking(7, 2100), Some(&own)).await.unwrap_err().contains("Revoked"));
    let over = met(revoking(8, 2021), Some(&own)).await.unwrap_err();
    assert!(over.contains("revocation list") || over.contains("CRL"), "{over}");
}
