//! A message is never left in the inbox of a worker that sleeps.

use loom::sync::Arc;
use loom::thread;

use crate::in_every_order;
use crate::inbox::Inbox;
use crate::os::epoll::EventFd;

/// Takes until `count` messages are there, asleep whenever the event is not raised. Asleep for ever is what loom
/// reports as a deadlock.
fn receive(inbox: &Inbox<u32>, count: usize) -> Vec<u32> {
    let mut all = Vec::new();
    while all.len() < count {
        inbox.event().wait();
        all.extend(inbox.take());
    }
    all
}

#[test]
fn every_message_of_two_threads_wakes_the_worker() {
    in_every_order(3, || {
        let inbox = Arc::new(Inbox::new(EventFd::new()));
        let senders: Vec<_> = (0..2)
            .map(|n| {
                let inbox = inbox.clone();
                thread::spawn(move || inbox.push(n))
            })
            .collect();
        let mut all = receive(&inbox, 2);
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
        senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
    });
}

#[test]
fn messages_of_one_thread_stay_in_order() {
    in_every_order(3, || {
        let inbox = Arc::new(Inbox::new(EventFd::new()));
        let sender = {
            let inbox = inbox.clone();
            thread::spawn(move || (0..3).for_each(|n| inbox.push(n)))
        };
        assert_eq!(receive(&inbox, 3), [0, 1, 2]);
        sender.join().expect("no panic");
    });
}
