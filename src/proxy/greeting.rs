//! How a new connection to a server begins: with which PROXY header, and for which name with TLS.

use crate::conn::Tls;
use crate::conn::proxy_protocol::{self, Fields, kind};
use crate::model::Server;
use crate::model::server::ProxyFields;
use crate::rules::fetch::{suite_name, tls_version};
use crate::rules::{Ctx, Txn};
use crate::tls::info::Certificate;

use super::env::StreamEnv;
use super::route::Route;
use super::server_name::{Greeting, name_of};
use super::session::Session;

/// Longest identifier that a header carries.
const UNIQUE_ID_MOST: usize = 128;
/// What the client did, in the field on TLS: it speaks it, it showed a certificate on this connection or in this session.
const SPEAKS_TLS: u8 = 1;
const SHOWED_NOW: u8 = 2;
const SHOWED: u8 = 4;

/// What a connection for a stream of this session to this server begins with.
pub fn greeting(s: &Session, route: &Route<'_>, txn: &mut Txn, server: &Server) -> Greeting {
    let spec = &server.spec;
    if server.tls().is_none() && spec.send_proxy == 0 && spec.port_offset.is_none() && !spec.goes_on {
        return Greeting { packets: txn.server_packets, ..Greeting::default() };
    }
    let env = StreamEnv::of(s, route, Some(server));
    // A rule may have changed the ends of the stream.
    let client = txn.client.inet().or(s.client().inet());
    let local = txn.local.inet().or(s.local().inet());
    let mut preface = Vec::new();
    if spec.send_proxy > 0 {
        let fields = match spec.send_proxy {
            1 => Fields::default(),
            _ => fields(s, route, txn, &env, server),
        };
        proxy_protocol::write_with(spec.send_proxy, client.zip(local), &fields, &mut preface);
    }
    let name = name_of(route.back.back.as_ref(), Ctx { txn, env: &env }, server);
    Greeting { name: name.towards(spec, local), preface, packets: txn.server_packets }
}

/// The fields that the server's line asks for, in the order in which HAProxy writes them.
fn fields(s: &Session, route: &Route<'_>, txn: &mut Txn, env: &StreamEnv<'_>, server: &Server) -> Fields {
    let mut fields = Fields::default();
    let wanted = server.spec.proxy_fields;
    let own = route.back.back.as_ref().map(|back| &back.proxy_tlvs);
    let own = own.and_then(|own| own.get(&*server.spec.name).or_else(|| own.get("")));
    for (kind, format) in own.into_iter().flatten() {
        let mut value = Vec::new();
        format.render(Ctx { txn, env }, &mut value);
        fields.add(*kind, &value);
    }
    if wanted.contains(ProxyFields::CRC32C) {
        fields.add_checksum();
    }
    let tls = s.tls();
    if let Some(Some(protocol)) = tls.and_then(|tls| tls.look(|c| c.alpn_protocol().map(<[u8]>::to_vec))) {
        fields.add(kind::ALPN, &protocol);
    }
    if wanted.contains(ProxyFields::AUTHORITY)
        && let Some(name) = authority(s, tls)
    {
        fields.add(kind::AUTHORITY, &name);
    }
    if wanted.contains(ProxyFields::UNIQUE_ID)
        && let Some(format) = route.front.front.as_ref().and_then(|front| front.unique_id_format.as_ref())
    {
        let id = txn.unique_id.take().unwrap_or_else(|| {
            let mut id = Vec::new();
            format.render(Ctx { txn, env }, &mut id);
            id.into()
        });
        fields.add(kind::UNIQUE_ID, &id[..id.len().min(UNIQUE_ID_MOST)]);
        txn.unique_id = Some(id);
    }
    if wanted.contains(ProxyFields::SSL) {
        fields.add(kind::SSL, &secured(tls, wanted));
    }
    fields
}

/// The host that the client asked for: as its own header says, or with TLS.
fn authority(s: &Session, tls: Option<&Tls>) -> Option<Vec<u8>> {
    let told = s.received().and_then(|received| received.values(kind::AUTHORITY).last());
    told.map(<[u8]>::to_vec).or_else(|| tls?.hello(|hello| hello.name().map(<[u8]>::to_vec))?)
}

/// The field on TLS: what the client did, whether its certificate was good (0: it was), and what else is asked for.
fn secured(tls: Option<&Tls>, wanted: ProxyFields) -> Vec<u8> {
    let (mut client, mut verify, mut inner) = (0, [0; 4], Fields::default());
    let Some(tls) = tls.filter(|tls| tls.is_up()) else { return [&[client][..], &verify].concat() };
    client |= SPEAKS_TLS;
    if let Some(Some(version)) = tls.look(tls_version) {
        inner.add(kind::SSL_VERSION, version.as_bytes());
    }
    let shown =
        tls.look(|c| c.peer_certificates().and_then(|list| list.first().map(|der| der.to_vec()))).flatten();
    let is_resumed = tls.look(|c| c.handshake_kind() == Some(rustls::HandshakeKind::Resumed)) == Some(true);
    if let Some(der) = &shown {
        client |= if is_resumed { SHOWED } else { SHOWED | SHOWED_NOW };
        verify = tls.verdict().map_or(0, |verdict| verdict.last).to_be_bytes();
        if wanted.contains(ProxyFields::CN)
            && let Some(name) = Certificate::read(der).and_then(|c| c.subject().entry("CN", 1))
        {
            inner.add(kind::SSL_CN, &name);
        }
    }
    let material = tls.material();
    let ours = material.as_ref().and_then(|m| m.certified.key.cert.first());
    if let Some(ours) = ours.and_then(|der| Certificate::read(der)) {
        if wanted.contains(ProxyFields::KEY)
            && let Some(key) = ours.key()
        {
            inner.add(kind::SSL_KEY_ALG, key.as_bytes());
        }
        if wanted.contains(ProxyFields::SIG) {
            inner.add(kind::SSL_SIG_ALG, ours.signature_algorithm().as_bytes());
        }
    }
    if wanted.contains(ProxyFields::CIPHER)
        && let Some(Some(suite)) = tls.look(suite_name)
    {
        inner.add(kind::SSL_CIPHER, suite.as_bytes());
    }
    [&[client][..], &verify, inner.bytes()].concat()
}
