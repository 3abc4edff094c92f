//! Waiting for a change: who wakes, who does not, and what a place costs.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::region::map::*;
use crate::region::*;

fn soon(ms: u64) -> Instant {
    tokio::time::sleep(Duration::from_millis(ms)).deadline()
}

fn key(text: &str) -> Topic {
    Topic::Key(text.into())
}

fn prefix(text: &str) -> Topic {
    Topic::Prefix(text.into())
}

async fn set(seat: &Seat, key: &str, value: &str) -> Index {
    let value = value.as_bytes().to_vec().into();
    let put = Command::KvPut { key: key.into(), value, flags: 0, when: PutWhen::Always };
    match seat.propose(put).await {
        Ok(Reply::Held { held: true, index }) => index,
        other => panic!("{other:?}"),
    }
}

fn ready<F: Future>(waits: &mut [Pin<Box<F>>]) -> Vec<bool> {
    waits.iter_mut().map(|wait| poll(wait.as_mut()).is_ready()).collect()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn one_reads_what_one_wrote() {
    let seat = Direct::seat("n", "eu");
    let before = seat.map();
    let index = set(&seat, "a", "1").await;
    assert!(index > 1, "1 is of what never changed");
    assert_eq!(&*seat.map().entry("a").unwrap().value, b"1");
    assert!(before.entry("a").is_none(), "who read before keeps what was");
    assert_eq!((seat.map().index(), seat.status().applied), (index, index));
    assert_eq!(seat.fresh(Consistency::Consistent).await.map(|fresh| fresh.known_leader), Ok(true));
    assert_eq!((&**seat.node_name(), &**seat.region(), &*seat.leader().unwrap().name), ("n", "eu", "n"));
}

#[tokio::test]
async fn who_waits_for_a_key_wakes_for_it_alone() {
    let seat = Direct::seat("n", "");
    let index = set(&seat, "a/1", "x").await;
    let topics = [key("a/1"), key("a/2"), prefix("a/"), prefix("b"), prefix(""), Topic::Nodes, Topic::Any];
    let mut waits: Vec<_> = topics
        .iter()
        .map(|topic| Box::pin(seat.changed(std::slice::from_ref(topic), index, soon(60_000))))
        .collect();
    assert_eq!(ready(&mut waits), [false; 7]);
    assert_eq!(seat.view().watches().len(), 7);
    set(&seat, "a/1", "x").await;
    assert_eq!(ready(&mut waits), [false; 7], "nothing changed");
    set(&seat, "a/1", "y").await;
    assert_eq!(ready(&mut waits), [true, false, true, false, true, false, true]);
}

#[tokio::test]
async fn a_change_before_the_wait_is_not_missed() {
    let seat = Direct::seat("n", "");
    let index = set(&seat, "a", "x").await;
    let start = soon(0);
    assert_eq!(seat.changed(&[key("a")], index - 1, soon(60_000)).await, Ok(()));
    assert_eq!(seat.changed(&[key("b"), key("a")], 0, soon(60_000)).await, Ok(()));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(seat.changed(&[key("a")], index, soon(20)).await, Ok(()), "the time is over");
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn a_change_that_the_reader_has_seen_elsewhere_wakes_nobody() {
    let seat = Direct::seat("n", "");
    let index = set(&seat, "a", "x").await;
    let topics = [key("a")];
    let mut ahead = pin!(seat.changed(&topics, index + 1, soon(60_000)));
    assert!(poll(ahead.as_mut()).is_pending());
    set(&seat, "a", "y").await;
    assert!(poll(ahead.as_mut()).is_pending(), "it was {index} + 1 that was seen");
    set(&seat, "a", "z").await;
    assert!(poll(ahead.as_mut()).is_ready());
}

#[tokio::test]
async fn another_map_wakes_everybody() {
    let mut publisher = Publisher::new(Map::default());
    let view = publisher.view();
    let topics = [Topic::Services, prefix("a")];
    let mut wait = pin!(view.changed(&topics, 0, soon(60_000)));
    assert!(poll(wait.as_mut()).is_pending());
    drop(publisher.install(Map::default()));
    assert!(poll(wait.as_mut()).is_ready());
}

#[tokio::test]
async fn an_archive_answers_who_waits_and_who_comes_with_an_index_from_before() {
    let (other, seat) = (Direct::seat("o", ""), Direct::seat("n", ""));
    set(&other, "a", "of old").await;
    let mut zipped = Vec::new();
    other.map().write_archive(&mut zipped).unwrap();
    for n in 0..20 {
        set(&seat, "a", &n.to_string()).await;
        set(&seat, "b/c", &n.to_string()).await;
    }
    let topics = [key("a"), prefix("b/"), Topic::Any];
    let before: Vec<Index> = topics.iter().map(|topic| seat.map().index_of(topic)).collect();
    let wait = |n: usize, after| Box::pin(seat.changed(&topics[n..=n], after, soon(60_000)));
    let mut waits: Vec<_> = (0..3).map(|n| wait(n, before[n])).collect();
    assert_eq!(ready(&mut waits), [false; 3]);
    let data = unzip_archive(&zipped).unwrap().into();
    let piece = Piece { archive: "x".into(), number: 0, data, last: true };
    seat.propose(Command::Restore(Box::new(piece))).await.unwrap();
    assert_eq!(&*seat.map().entry("a").unwrap().value, b"of old");
    assert_eq!(ready(&mut waits), [true; 3]);
    // What they read is not what is here, though its indexes are lower.
    assert!(seat.map().index_of(&topics[0]) < before[0]);
    assert_eq!(ready(&mut (0..3).map(|n| wait(n, before[n])).collect::<Vec<_>>()), [true; 3]);
    // Who has read what is here waits again; of what never changed an index of 1 was told.
    let mut waits: Vec<_> =
        topics.iter().enumerate().map(|(n, topic)| wait(n, seat.map().index_of(topic).max(1))).collect();
    assert_eq!(ready(&mut waits), [false; 3]);
    set(&seat, "a", "new").await;
    assert_eq!(ready(&mut waits), [true, false, true]);
}

#[test]
fn a_place_is_given_up_with_its_future() {
    let watches = Watches::new(2);
    let first = watches.watch(&[key("a"), prefix("a"), prefix("b")], 0).unwrap();
    let second = watches.watch(&[key("a")], 0).unwrap();
    assert!(watches.watch(&[key("a")], 0).is_none(), "no more than two");
    drop(first);
    assert_eq!(watches.len(), 1);
    let third = watches.watch(&[prefix("")], 0).unwrap();
    watches.wake(&[key("a")], 1);
    drop((second, third));
    assert!(watches.is_empty());
    assert!(watches.is_forgotten(), "no topic is kept for nobody");
}

#[tokio::test]
async fn too_many_are_refused() {
    let publisher = Publisher::with_watchers(Map::default(), 1);
    let view = publisher.view();
    let topics = [Topic::Nodes];
    let mut first = pin!(view.changed(&topics, 0, soon(60_000)));
    assert!(poll(first.as_mut()).is_pending());
    assert!(matches!(view.changed(&topics, 0, soon(60_000)).await, Err(SeatError::Full(_))));
}

#[tokio::test]
async fn five_thousand_wait_for_little() {
    let seat = Arc::new(Direct::seat("n", ""));
    let wait = |n: usize| {
        let seat = seat.clone();
        async move {
            let topics = [Topic::Service(format!("service-{n}").as_str().into())];
            seat.changed(&topics, 0, soon(60_000)).await
        }
    };
    assert!(size_of_val(&wait(0)) < 1024, "{} bytes", size_of_val(&wait(0)));
    let mut waits: Vec<_> = (0..5_000).map(|n| Box::pin(wait(n))).collect();
    assert!(waits.iter_mut().all(|wait| poll(wait.as_mut()).is_pending()));
    let node = Node { name: "n".into(), ..Node::default() };
    let instance = Instance { id: "i".into(), service: "service-77".into(), ..Instance::default() };
    let what = Registration { node, instance: Some(instance), ..Registration::default() };
    seat.propose(Command::Register(Box::new(what))).await.unwrap();
    let woken: Vec<usize> = (0..5_000).filter(|n| poll(waits[*n].as_mut()).is_ready()).collect();
    assert_eq!(woken, [77]);
    assert_eq!(seat.view().watches().len(), 4_999);
    drop(waits.remove(77));
    drop(waits);
    assert!(seat.view().watches().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_missed_by_who_reads_and_waits_again() {
    const WRITES: usize = 2_000;
    let seat = Direct::seat("n", "");
    let readers = (0..8).map(|n| {
        let seat = seat.clone();
        let topics = [[key("a"), prefix("a"), prefix(""), Topic::Any][n % 4].clone()];
        tokio::spawn(async move {
            let last = WRITES.to_string();
            loop {
                let map = seat.map();
                if map.entry("a").is_some_and(|entry| entry.value == last.as_bytes()) {
                    return;
                }
                let index = map.index_of(&topics[0]);
                seat.changed(&topics, index, soon(60_000)).await.unwrap();
                assert!(seat.map().index_of(&topics[0]) > index, "nothing came in a minute");
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for n in 1..=WRITES {
        set(&seat, "a", &n.to_string()).await;
        if n % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(seat.view().watches().is_empty());
}
