//! Members that show each other certificates.

use super::cluster::*;
use crate::region::raft::Tls;
use crate::tls::testing::Issuer;

fn tls(issuer: &Issuer) -> Tls {
    Tls::new(&issuer.certified(&["127.0.0.1"]), &issuer.authorities()).expect("both sides")
}

#[test]
fn members_with_certificates_of_one_ca_form_a_cluster_and_no_others_join() {
    let (ours, theirs) = (Issuer::new(), Issuer::new());
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
    let (seat, _one) = node("n1", first.0, Some(tls(&ours)));
    let (other, _two) = node("n2", second.0, Some(tls(&ours)));
    until("a leader", || seat.leader());
    runtime.block_on(seat.propose(put("a", "1"))).expect("a put");
    until("it on the other", || value(&other, "a"));
    let (stranger, three) = node("n3", third.0, Some(tls(&theirs)));
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(three.id(), 0, "no member");
    assert!(stranger.leader().is_none());
}
