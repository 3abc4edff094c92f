//! Who goes on with which session: tickets with keys of a file, the table, and what bounds it.

use std::sync::Arc;

use rustls::HandshakeKind;
use rustls::server::{ProducesTickets, StoresServerSessions};

use super::endpoint::{Files, client, crt, ecdsa, shake, words};
use crate::tls::session::{Realm, Sessions};
use crate::tls::ticket::{Keys, TicketKeys, Tickets};
use crate::tls::{BindWords, Endpoint, Globals, Library, Options, Told, Verify};

fn key(byte: u8, size: usize) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(vec![byte; size])
}

fn file(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| key(*byte, 80) + "\n").collect()
}

#[test]
fn the_middle_of_the_last_three_keys_seals_and_all_three_open() {
    let keys = |bytes: &[u8]| TicketKeys::parse("f", file(bytes).as_bytes()).unwrap();
    let tickets = |keys: &Arc<TicketKeys>| Tickets::new(Keys::File(keys.clone()), 5);
    let one = keys(&[9, 1, 2, 3]);
    assert_eq!(one.texts(), [key(1, 80), key(2, 80), key(3, 80)]);
    let sealed = tickets(&one).encrypt(b"session").unwrap();
    assert_eq!(&sealed[..16], &[2; 16]);
    let opened = |bytes: &[u8]| tickets(&keys(bytes)).decrypt(&sealed);
    for bytes in [[1, 2, 3], [2, 7, 8], [7, 8, 2]] {
        assert_eq!(opened(&bytes).as_deref(), Some(&b"session"[..]), "another process with the same keys");
    }
    assert_eq!(opened(&[1, 3, 4]), None);
    assert_eq!(Tickets::new(Keys::File(one.clone()), 6).decrypt(&sealed), None, "of another realm");
    for at in 0..sealed.len() {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        assert_eq!(tickets(&one).decrypt(&bad), None);
        assert_eq!(tickets(&one).decrypt(&sealed[..at]), None);
    }
    // A ticket survives one push, and not two.
    one.push(&key(4, 80)).unwrap();
    assert!(tickets(&one).decrypt(&sealed).is_some());
    one.push(&key(5, 80)).unwrap();
    assert!(tickets(&one).decrypt(&sealed).is_none());
    assert_eq!(one.push("zz"), Err("'set ssl tls-key' received invalid base64 encoded TLS key."));
    assert_eq!(one.push(&key(1, 48)), Err("'set ssl tls-key' received a key of wrong size."));
}

#[test]
fn files_of_keys_are_read_strictly() {
    let told = |text: String| TicketKeys::parse("f", text.as_bytes()).unwrap_err();
    assert_eq!(told(file(&[1, 2])), "'f' : please supply at least 3 keys in the tls-tickets-file");
    assert_eq!(told(file(&[1]) + "\n" + &file(&[2, 3])), "'f' : wrong sized key on line 2");
    assert_eq!(told(file(&[1, 2]) + &key(3, 48)), "'f' : wrong sized key on line 3");
    assert_eq!(told("junk!\n".into()), "'f' : unable to decode base64 key on line 1");
    assert!(TicketKeys::parse("f", (key(1, 48) + "\n").repeat(3).as_bytes()).is_ok());
}

#[test]
fn the_table_is_bounded_and_forgets() {
    let sessions = Sessions::new(20_000, 300);
    let realm = Realm::new(sessions.clone(), 1);
    for n in 0..100_000u32 {
        assert!(realm.put(n.to_be_bytes().to_vec(), vec![0; 500]));
    }
    assert!(sessions.len() < 6_500 && sessions.len() > 2_000, "{}", sessions.len());
    let realm = Realm::new(Sessions::new(20_000, 300), 1);
    realm.put(vec![1], vec![2]);
    realm.put(vec![1], vec![3]);
    assert_eq!(realm.get(&[1]), Some(vec![3]));
    assert_eq!(realm.take(&[1]), Some(vec![3]));
    assert_eq!(realm.take(&[1]), None);
    assert!(!realm.put(vec![1], vec![0; 1 << 20]), "larger than its part");
    assert!(realm.can_cache() && !Realm::new(Sessions::new(0, 300), 1).can_cache());
    let (one, two) = (Sessions::new(20_000, 300), Sessions::new(20_000, 300));
    Realm::new(one.clone(), 1).put(vec![1], vec![2]);
    assert_eq!(Realm::new(one, 2).get(&[1]), None);
    assert!(two.is_empty());
}

struct Site {
    files: Files,
    globals: Globals,
    sessions: Option<Arc<Sessions>>,
}

impl Site {
    fn new() -> Site {
        let files = Files::default().with("/a", ecdsa(&["a.test"]).pem()).with("/k", file(&[1, 2, 3]));
        Site { files, globals: Globals::default(), sessions: None }
    }

    fn endpoint(&self, name: &str, words: BindWords) -> Arc<Endpoint> {
        let mut library =
            Library::new(&self.files, self.globals.clone(), 1_800_000_000, self.sessions.clone());
        let mut told = Told::default();
        Endpoint::build(name, words, &mut library, &mut told).unwrap_or_else(|| panic!("{told:?}"))
    }
}

/// Whether a client goes on at the second endpoint with what it got at the first.
fn resumes(one: &Endpoint, two: &Endpoint, is_12: bool) -> bool {
    let mut config = client();
    if is_12 {
        let builder = rustls::ClientConfig::builder_with_provider(crate::tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap();
        config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(crate::tls::Anyone))
            .with_no_client_auth();
    }
    let (first, _) = shake(one, &config, "a.test").unwrap();
    assert_eq!(first.handshake_kind(), Some(HandshakeKind::Full));
    let (second, _) = shake(two, &config, "a.test").unwrap();
    second.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[test]
fn sessions_go_on_where_they_should() {
    let mut site = Site::new();
    let plain = words(&[crt("/a")]);
    let with_keys = BindWords { ticket_keys: Some("/k".into()), ..plain.clone() };
    let no_tickets = BindWords { no_tickets: true, ..plain.clone() };
    for is_12 in [false, true] {
        let (one, two) = (site.endpoint("one", plain.clone()), site.endpoint("two", plain.clone()));
        assert!(resumes(&one, &one, is_12) && !resumes(&one, &two, is_12));
        let (one, two) = (site.endpoint("one", with_keys.clone()), site.endpoint("two", with_keys.clone()));
        assert!(resumes(&one, &two, is_12), "by the keys");
        let one = site.endpoint("one", no_tickets.clone());
        assert!(resumes(&one, &one, is_12), "by the table");
        // After a reload, which keeps the table.
        let sessions = Sessions::new(20_000, 300);
        site.sessions = Some(sessions.clone());
        let (before, after) =
            (site.endpoint("one", no_tickets.clone()), site.endpoint("one", no_tickets.clone()));
        assert!(resumes(&before, &after, is_12));
        assert!(!resumes(&before, &site.endpoint("other", no_tickets.clone()), is_12));
        site.sessions = None;
    }
    site.globals.cache_blocks = 0;
    let one = site.endpoint("one", no_tickets);
    assert!(!resumes(&one, &one, false) && !resumes(&one, &one, true));
    let one = site.endpoint("one", plain.clone());
    assert!(resumes(&one, &one, false), "by tickets");
}

#[test]
fn who_was_not_looked_at_does_not_go_on_where_clients_are() {
    let mut site = Site::new();
    site.files = site.files.with("/ca", crate::tls::testing::Issuer::new().pem());
    let open = BindWords { ticket_keys: Some("/k".into()), ..words(&[crt("/a")]) };
    let options =
        Options { verify: Some(Verify::Optional), ca_file: Some("/ca".into()), ..Options::default() };
    let asking = BindWords { options, ..open.clone() };
    let (open, asking) = (site.endpoint("open", open), site.endpoint("asking", asking));
    assert!(!resumes(&open, &asking, false) && !resumes(&asking, &open, true));
    assert!(resumes(&asking, &asking, false));
}

#[test]
fn early_data_are_taken_where_a_line_allows_them_and_once() {
    let site = Site::new();
    let mut config = client();
    config.enable_early_data = true;
    for has_early_data in [true, false] {
        let options = Options { has_early_data, ..Options::default() };
        let endpoint = site.endpoint("one", BindWords { options, ..words(&[crt("/a")]) });
        let choice = super::endpoint::choose(&endpoint, &config, "a.test").unwrap();
        assert_eq!(choice.has_early_data, has_early_data);
        assert_eq!(choice.config.max_early_data_size, if has_early_data { 15_360 } else { 0 });
        assert_eq!(choice.config.ticketer.enabled(), !has_early_data);
    }
}
