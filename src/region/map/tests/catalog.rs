//! Nodes, instances and checks.

use super::support::*;
use crate::region::map::*;

fn ids<'a>(checks: impl Iterator<Item = &'a std::sync::Arc<Check>>) -> Vec<String> {
    checks.map(|check| check.id.to_string()).collect()
}

/// A node `n` with a liveness check and an instance `web1` of `web`, which has a check `c1`.
fn world() -> World {
    let mut world = World::default();
    world.done(put_node("n"));
    world.done(put_checks("n", vec![check("n", NODE_LIVENESS, "", Health::Passing)]));
    let web = Instance { tags: names(&["a", "b"]).into(), ..instance("n", "web1", "web") };
    world.done(put(web, vec![check("n", "c1", "web1", Health::Critical)]));
    world
}

#[test]
fn a_check_bears_the_name_and_tags_of_its_service() {
    let mut world = world();
    let found = world.map.check("n", "c1").unwrap().clone();
    assert_eq!((&*found.service, &found.service_tags[..]), ("web", names(&["a", "b"]).as_slice()));
    assert_eq!(found.critical_since, world.at);

    let index = world.done(put(instance("n", "web1", "shop"), vec![]));
    let found = world.map.check("n", "c1").unwrap();
    assert_eq!((&*found.service, found.service_tags.len(), found.modify_index), ("shop", 0, index));
    assert_eq!(found.critical_since, world.at - 1000, "it did not become critical again");
    assert!(world.map.service("web").is_none());
    assert_eq!(world.map.instances_of("shop").count(), 1);
}

#[test]
fn an_equal_registration_moves_no_index() {
    let mut world = world();
    let topics =
        [Topic::Nodes, Topic::Node(name("n")), Topic::Services, Topic::Service(name("web")), Topic::Checks];
    let before = world.indexes(&topics);
    let web = Instance { tags: names(&["a", "b"]).into(), ..instance("n", "web1", "web") };
    world.done(put(web, vec![check("n", "c1", "web1", Health::Critical)]));
    world.done(put_node("n"));
    world.done(status("n", "c1", Health::Critical));
    assert_eq!(world.indexes(&topics), before);
    assert_eq!(world.touched, []);
    assert_eq!(world.map.instance("n", "web1").unwrap().modify_index, 3);
}

#[test]
fn checks_are_found_by_what_they_are_about() {
    let mut world = world();
    world.done(put(instance("n", "web2", "web"), vec![check("n", "a-check", "web2", Health::Passing)]));
    assert_eq!(ids(world.map.checks_on("n")), ["a-check", "c1", "serfHealth"]);
    assert_eq!(ids(world.map.node_checks("n")), ["serfHealth"]);
    let web1 = world.map.instance("n", "web1").unwrap();
    assert_eq!(ids(world.map.checks_of(web1)), ["serfHealth", "c1"]);
    assert_eq!(ids(world.map.own_checks("n", "web2")), ["a-check"]);
    assert_eq!(ids(world.map.checks()).len(), 3);

    world.done(put_checks("n", vec![check("n", "c1", "", Health::Passing)]));
    assert_eq!(ids(world.map.node_checks("n")), ["c1", "serfHealth"], "it is about the node now");
    assert_eq!(ids(world.map.own_checks("n", "web1")).len(), 0);
}

#[test]
fn a_registration_may_replace_the_checks_of_its_instance() {
    let mut world = world();
    let new = vec![check("n", "c2", "web1", Health::Passing)];
    let replacing = Registration {
        node: node("n"),
        skip_node_update: true,
        instance: Some(instance("n", "web1", "web")),
        checks: new,
        replace_checks: true,
    };
    world.done(register(replacing));
    assert_eq!(ids(world.map.checks_on("n")), ["c2", "serfHealth"]);
}

#[test]
fn a_registration_that_is_refused_changes_nothing() {
    let mut world = world();
    let before = world.map.clone();
    let bad = check("n", "c2", "nowhere", Health::Passing);
    let refusal = world.refused(put(instance("n", "web9", "web"), vec![bad]));
    assert_eq!(refusal, r#"unknown service ID "nowhere""#);
    let elsewhere = check("m", "c2", "web9", Health::Passing);
    assert!(world.refused(put(instance("n", "web9", "web"), vec![elsewhere])).contains("is of node"));
    assert!(world.refused(put_node("")).contains("must provide node"));
    assert!(world.refused(put(instance("n", "", "web"), vec![])).contains("service ID"));
    assert_eq!(world.refused(status("n", "nope", Health::Passing)), r#"unknown check "nope""#);
    assert_eq!(world.touched, []);
    assert_eq!(Map { index: world.map.index(), ..before }, world.map);
}

#[test]
fn what_is_on_a_node_goes_with_it() {
    let mut world = world();
    world.done(Command::SessionCreate(session("s", "n", &[NODE_LIVENESS])));
    let index = world.done(gone("n", None, None));
    assert_eq!(
        (world.map.nodes().count(), world.map.services().count(), world.map.checks().count()),
        (0, 0, 0)
    );
    assert_eq!(world.map.sessions().count(), 0);
    let topics =
        [Topic::Nodes, Topic::Node(name("n")), Topic::Services, Topic::Service(name("web")), Topic::Checks];
    assert_eq!(world.indexes(&topics), [index; 5]);
    for topic in topics {
        assert!(world.touched.contains(&topic), "{topic:?}");
    }
    assert!(world.touched.contains(&Topic::Session(name("s"))));
    world.done(gone("n", None, None));
    assert_eq!(world.touched, [], "what is not there is gone already");
}

#[test]
fn an_instance_takes_its_checks_along() {
    let mut world = world();
    world.done(gone("n", Some("web1"), None));
    assert_eq!(ids(world.map.checks_on("n")), ["serfHealth"]);
    assert_eq!(world.map.instances_on("n").count(), 0);
    world.done(gone("n", None, Some("serfHealth")));
    assert_eq!(world.map.checks_on("n").count(), 0);
}

#[test]
fn tags_are_those_of_all_instances() {
    let mut world = world();
    let tagged = |id: &str, tags: &[&str]| {
        put(Instance { tags: names(tags).into(), ..instance("n", id, "web") }, vec![])
    };
    let tags = |world: &World| {
        world.map.service("web").unwrap().tags().map(|tag| tag.to_string()).collect::<Vec<_>>().join(" ")
    };
    world.done(tagged("web2", &["b", "c"]));
    assert_eq!(tags(&world), "a b c");
    let services = world.map.index_of(&Topic::Services);
    world.done(tagged("web3", &["c"]));
    assert_eq!(world.map.index_of(&Topic::Services), services, "no tag is new");
    world.done(gone("n", Some("web1"), None));
    assert_eq!(tags(&world), "b c");
    world.done(tagged("web2", &["c", "c"]));
    assert_eq!(tags(&world), "c");
    assert!(world.touched.contains(&Topic::Services));
    world.done(tagged("web2", &[]));
    assert_eq!(tags(&world), "c", "of web3");
}

#[test]
fn a_node_is_known_by_its_id() {
    let mut world = World::default();
    let with_id = |text: &str, id: &str| Node { id: name(id), ..node(text) };
    let put = |node: Node| register(Registration { node, ..Registration::default() });
    world.done(put(with_id("old", "1")));
    world.done(put(with_id("new", "1")));
    world.done(put(node("new")));
    assert_eq!(world.touched, [], "what says nothing of its id leaves it");
    assert!(world.map.node("old").is_none(), "it was renamed");
    assert_eq!(&*world.map.node_by_id("1").unwrap().name, "new");

    world.done(put_checks("new", vec![check("new", NODE_LIVENESS, "", Health::Passing)]));
    assert_eq!(world.refused(put(with_id("new", "2"))), r#"name "new" is taken"#);
    world.done(status("new", NODE_LIVENESS, Health::Critical));
    world.done(put(with_id("new", "2")));
    assert!(world.map.node_by_id("1").is_none());
    assert_eq!(&*world.map.node_by_id("2").unwrap().name, "new");
}
