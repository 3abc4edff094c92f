//! Nodes, instances and checks.

use super::support::*;
use crate::region::map::*;

fn ids<'a>(checks: impl Iterator<Item = &'a std::sync::Arc<Check>>) -> Vec<String> {
    checks.map(|check| check.id.to_string()).collect()
}

/// A node `n` with a liveness check and an instance `web1` of `web`, which has a check `c1`.
fn desk() -> Desk {
    let mut desk = Desk::default();
    desk.done(put_node("n"));
    desk.done(put_checks("n", vec![check("n", NODE_LIVENESS, "", Health::Passing)]));
    let web = Instance { tags: names(&["a", "b"]), ..instance("n", "web1", "web") };
    desk.done(put(web, vec![check("n", "c1", "web1", Health::Critical)]));
    desk
}

#[test]
fn a_check_bears_the_name_and_tags_of_its_service() {
    let mut desk = desk();
    let found = desk.map.check("n", "c1").unwrap().clone();
    assert_eq!((&*found.service, found.service_tags.as_slice()), ("web", names(&["a", "b"]).as_slice()));
    assert_eq!(found.critical_since, desk.at);

    let index = desk.done(put(instance("n", "web1", "shop"), vec![]));
    let found = desk.map.check("n", "c1").unwrap();
    assert_eq!((&*found.service, found.service_tags.len(), found.modify_index), ("shop", 0, index));
    assert_eq!(found.critical_since, desk.at - 1000, "it did not become critical again");
    assert!(desk.map.service("web").is_none());
    assert_eq!(desk.map.instances_of("shop").count(), 1);
}

#[test]
fn an_equal_registration_moves_no_index() {
    let mut desk = desk();
    let topics =
        [Topic::Nodes, Topic::Node(name("n")), Topic::Services, Topic::Service(name("web")), Topic::Checks];
    let before = desk.indexes(&topics);
    let web = Instance { tags: names(&["a", "b"]), ..instance("n", "web1", "web") };
    desk.done(put(web, vec![check("n", "c1", "web1", Health::Critical)]));
    desk.done(put_node("n"));
    desk.done(status("n", "c1", Health::Critical));
    assert_eq!(desk.indexes(&topics), before);
    assert_eq!(desk.touched, []);
    assert_eq!(desk.map.instance("n", "web1").unwrap().modify_index, 3);
}

#[test]
fn checks_are_found_by_what_they_are_about() {
    let mut desk = desk();
    desk.done(put(instance("n", "web2", "web"), vec![check("n", "a-check", "web2", Health::Passing)]));
    assert_eq!(ids(desk.map.checks_on("n")), ["a-check", "c1", "serfHealth"]);
    assert_eq!(ids(desk.map.node_checks("n")), ["serfHealth"]);
    let web1 = desk.map.instance("n", "web1").unwrap();
    assert_eq!(ids(desk.map.checks_of(web1)), ["serfHealth", "c1"]);
    assert_eq!(ids(desk.map.own_checks("n", "web2")), ["a-check"]);
    assert_eq!(ids(desk.map.checks()).len(), 3);

    desk.done(put_checks("n", vec![check("n", "c1", "", Health::Passing)]));
    assert_eq!(ids(desk.map.node_checks("n")), ["c1", "serfHealth"], "it is about the node now");
    assert_eq!(ids(desk.map.own_checks("n", "web1")).len(), 0);
}

#[test]
fn a_registration_may_replace_the_checks_of_its_instance() {
    let mut desk = desk();
    let new = vec![check("n", "c2", "web1", Health::Passing)];
    let replacing = Registration {
        node: node("n"),
        skip_node_update: true,
        instance: Some(instance("n", "web1", "web")),
        checks: new,
        replace_checks: true,
    };
    desk.done(register(replacing));
    assert_eq!(ids(desk.map.checks_on("n")), ["c2", "serfHealth"]);
}

#[test]
fn a_registration_that_is_refused_changes_nothing() {
    let mut desk = desk();
    let before = desk.map.clone();
    let bad = check("n", "c2", "nowhere", Health::Passing);
    let refusal = desk.refused(put(instance("n", "web9", "web"), vec![bad]));
    assert_eq!(refusal, r#"unknown service ID "nowhere""#);
    let elsewhere = check("m", "c2", "web9", Health::Passing);
    assert!(desk.refused(put(instance("n", "web9", "web"), vec![elsewhere])).contains("is of node"));
    assert!(desk.refused(put_node("")).contains("must provide node"));
    assert!(desk.refused(put(instance("n", "", "web"), vec![])).contains("service ID"));
    assert_eq!(desk.refused(status("n", "nope", Health::Passing)), r#"unknown check "nope""#);
    assert_eq!(desk.touched, []);
    assert_eq!(Map { index: desk.map.index(), ..before }, desk.map);
}

#[test]
fn what_is_on_a_node_goes_with_it() {
    let mut desk = desk();
    desk.done(Command::SessionCreate(session("s", "n", &[NODE_LIVENESS])));
    let index = desk.done(gone("n", None, None));
    assert_eq!((desk.map.nodes().count(), desk.map.services().count(), desk.map.checks().count()), (0, 0, 0));
    assert_eq!(desk.map.sessions().count(), 0);
    let topics =
        [Topic::Nodes, Topic::Node(name("n")), Topic::Services, Topic::Service(name("web")), Topic::Checks];
    assert_eq!(desk.indexes(&topics), [index; 5]);
    for topic in topics {
        assert!(desk.touched.contains(&topic), "{topic:?}");
    }
    assert!(desk.touched.contains(&Topic::Session(name("s"))));
    desk.done(gone("n", None, None));
    assert_eq!(desk.touched, [], "what is not there is gone already");
}

#[test]
fn an_instance_takes_its_checks_along() {
    let mut desk = desk();
    desk.done(gone("n", Some("web1"), None));
    assert_eq!(ids(desk.map.checks_on("n")), ["serfHealth"]);
    assert_eq!(desk.map.instances_on("n").count(), 0);
    desk.done(gone("n", None, Some("serfHealth")));
    assert_eq!(desk.map.checks_on("n").count(), 0);
}

#[test]
fn tags_are_those_of_all_instances() {
    let mut desk = desk();
    let tagged =
        |id: &str, tags: &[&str]| put(Instance { tags: names(tags), ..instance("n", id, "web") }, vec![]);
    let tags = |desk: &Desk| {
        desk.map.service("web").unwrap().tags().map(|tag| tag.to_string()).collect::<Vec<_>>().join(" ")
    };
    desk.done(tagged("web2", &["b", "c"]));
    assert_eq!(tags(&desk), "a b c");
    let services = desk.map.index_of(&Topic::Services);
    desk.done(tagged("web3", &["c"]));
    assert_eq!(desk.map.index_of(&Topic::Services), services, "no tag is new");
    desk.done(gone("n", Some("web1"), None));
    assert_eq!(tags(&desk), "b c");
    desk.done(tagged("web2", &["c", "c"]));
    assert_eq!(tags(&desk), "c");
    assert!(desk.touched.contains(&Topic::Services));
    desk.done(tagged("web2", &[]));
    assert_eq!(tags(&desk), "c", "of web3");
}

#[test]
fn a_node_is_known_by_its_id() {
    let mut desk = Desk::default();
    let with_id = |text: &str, id: &str| Node { id: name(id), ..node(text) };
    let put = |node: Node| register(Registration { node, ..Registration::default() });
    desk.done(put(with_id("old", "1")));
    desk.done(put(with_id("new", "1")));
    desk.done(put(node("new")));
    assert_eq!(desk.touched, [], "what says nothing of its id leaves it");
    assert!(desk.map.node("old").is_none(), "it was renamed");
    assert_eq!(&*desk.map.node_by_id("1").unwrap().name, "new");

    desk.done(put_checks("new", vec![check("new", NODE_LIVENESS, "", Health::Passing)]));
    assert_eq!(desk.refused(put(with_id("new", "2"))), r#"name "new" is taken"#);
    desk.done(status("new", NODE_LIVENESS, Health::Critical));
    desk.done(put(with_id("new", "2")));
    assert!(desk.map.node_by_id("1").is_none());
    assert_eq!(&*desk.map.node_by_id("2").unwrap().name, "new");
}
