//! Tasks, deadlines, wake-ups from other threads, and the share of time spent waiting.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::base::clock::{MS, SEC};
use crate::rt::{NEVER, Rt, TaskId};

/// What happened, in order.
type Record<T> = Rc<RefCell<Vec<T>>>;

#[test]
fn tasks_run_in_the_order_of_their_wake_ups() {
    let rt = Rt::start_by_hand();
    let seen: Record<u32> = Rc::default();
    for n in 0..3 {
        let seen = seen.clone();
        rt.spawn(async move { seen.borrow_mut().push(n) });
    }
    assert!(seen.borrow().is_empty(), "a task ran before a turn");
    rt.settle();
    assert_eq!(*seen.borrow(), [0, 1, 2]);
    assert_eq!(rt.task_count(), 0);
}

#[test]
fn a_task_that_a_task_adds_runs_in_the_same_turn() {
    let rt = Rt::start_by_hand();
    let ran = Rc::new(Cell::new(false));
    let inner = ran.clone();
    rt.spawn(async move {
        rt.spawn(async move { inner.set(true) });
    });
    rt.turn_once();
    assert!(ran.get());
}

#[test]
fn sleepers_wake_at_their_time_and_not_before() {
    let rt = Rt::start_by_hand();
    let start = rt.now();
    let seen: Record<u64> = Rc::default();
    for ms in [70, 5, 30_000, 5_000] {
        let seen = seen.clone();
        rt.spawn(async move {
            rt.sleep_until(rt.after_ms(ms)).await;
            seen.borrow_mut().push((rt.now() - start) / MS);
        });
    }
    rt.pass_ms(4);
    assert!(seen.borrow().is_empty());
    rt.pass_ms(1);
    assert_eq!(*seen.borrow(), [5]);
    rt.pass_ms(60_000);
    assert_eq!(*seen.borrow(), [5, 70, 5_000, 30_000]);
}

#[test]
fn the_earliest_deadline_of_a_poll_counts_and_holds_for_that_poll_alone() {
    let rt = Rt::start_by_hand();
    let polls: Record<u64> = Rc::default();
    let (start, record) = (rt.now(), polls.clone());
    rt.spawn(poll_fn(move |_| {
        let at = (rt.now() - start) / MS;
        record.borrow_mut().push(at);
        if at == 0 {
            rt.arm(rt.after_ms(50));
            rt.arm(rt.after_ms(20));
            rt.arm(NEVER);
        }
        Poll::<()>::Pending
    }));
    rt.pass_ms(1_000);
    assert_eq!(*polls.borrow(), [0, 20], "the deadline of 50 ms was not armed again");
}

#[test]
fn a_task_is_polled_once_however_often_it_was_woken() {
    let rt = Rt::start_by_hand();
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    let id = rt.spawn(poll_fn(move |_| {
        count.set(count.get() + 1);
        Poll::<()>::Pending
    }));
    (0..5).for_each(|_| rt.wake(id));
    rt.settle();
    assert_eq!(polls.get(), 1);
}

#[test]
fn who_moves_bulk_knows_of_those_who_do_not_for_a_while() {
    let rt = Rt::start_by_hand();
    let beside = Rc::new(Cell::new(usize::MAX));
    let told = beside.clone();
    let bulk = rt.spawn(poll_fn(move |_| {
        told.set(rt.beside_bulk());
        Poll::<()>::Pending
    }));
    rt.settle();
    assert_eq!(beside.get(), 0, "it is no crowd of its own");
    let others: Vec<_> = (0..3).map(|_| rt.spawn(poll_fn(|_| Poll::<()>::Pending))).collect();
    let asked = |woken: &[TaskId]| {
        woken.iter().for_each(|id| rt.wake(*id));
        rt.wake(bulk);
        rt.settle();
        beside.get()
    };
    assert_eq!(asked(&others), 3, "before it in its turn");
    assert_eq!(asked(&[]), 3, "a turn ago");
    assert_eq!(asked(&others[..1]), 3, "the largest crowd of late");
    rt.pass_ms(6);
    asked(&[]);
    assert_eq!(asked(&[]), 0, "they are gone");
}

#[test]
fn those_who_ask_to_be_woken_soon_are_woken_together_unless_they_have_ended() {
    let rt = Rt::start_by_hand();
    let woken: Record<u32> = Rc::default();
    for n in 0..3 {
        let (woken, mut polls) = (woken.clone(), 0);
        rt.spawn(poll_fn(move |_| {
            polls += 1;
            match polls {
                1 => rt.wake_soon(),
                _ => woken.borrow_mut().push(n),
            }
            if n == 2 { Poll::Ready(()) } else { Poll::Pending }
        }));
        rt.settle();
        rt.pass_ms(70);
    }
    // In the place of the one that has ended.
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    rt.spawn(poll_fn(move |_| {
        count.set(count.get() + 1);
        Poll::<()>::Pending
    }));
    rt.settle();
    assert_eq!(*woken.borrow(), [0; 0]);
    rt.pass_ms(50);
    assert_eq!(*woken.borrow(), [0, 1], "250 ms after the first asked");
    rt.pass_ms(1_000);
    assert_eq!((woken.borrow().len(), polls.get()), (2, 1), "once, and nobody else");
}

#[test]
fn a_task_that_panics_leaves_the_others_running_and_its_number_free() {
    let rt = Rt::start_by_hand();
    let id = rt.spawn(async { panic!("a fault of one session") });
    let ran = Rc::new(Cell::new(false));
    let other = ran.clone();
    rt.spawn(async move { other.set(true) });
    rt.settle();
    assert!(ran.get());
    assert_eq!(rt.task_count(), 0);
    let again = [rt.spawn(async {}), rt.spawn(async {})];
    assert!(again.contains(&id));
    rt.settle();
    assert_eq!(rt.task_count(), 0);
}

#[test]
fn a_wake_up_for_a_task_that_has_ended_is_harmless() {
    let rt = Rt::start_by_hand();
    let id = rt.spawn(async {});
    rt.settle();
    rt.wake(id);
    rt.remote().wake(id);
    rt.settle();
    assert_eq!(rt.task_count(), 0);
}

#[test]
fn other_threads_reach_a_worker_through_its_inbox_and_its_wakers() {
    let rt = Rt::start_by_hand();
    let (remote, ran) = (rt.remote().clone(), std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0)));
    let told = ran.clone();
    std::thread::spawn(move || {
        for _ in 0..3 {
            let told = told.clone();
            remote.run(move |_| {
                told.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            });
        }
    })
    .join()
    .expect("the other thread ends");
    rt.settle();
    assert_eq!(ran.load(std::sync::atomic::Ordering::Relaxed), 3);

    let polls = Rc::new(Cell::new(0));
    let (count, waker) = (polls.clone(), Rc::new(RefCell::new(None)));
    let given = waker.clone();
    rt.spawn(poll_fn(move |context| {
        count.set(count.get() + 1);
        *given.borrow_mut() = Some(context.waker().clone());
        Poll::<()>::Pending
    }));
    rt.settle();
    let waker = waker.borrow_mut().take().expect("the task was polled");
    std::thread::spawn(move || waker.wake()).join().expect("the other thread ends");
    rt.settle();
    assert_eq!(polls.get(), 2);
}

#[test]
fn a_worker_that_never_waits_is_not_idle() {
    let rt = Rt::start_by_hand();
    // Busy for 1.2 s: whenever it is polled it works for 10 ms and wants to run again.
    let until = rt.now() + 1_200 * MS;
    rt.spawn(poll_fn(move |context| {
        rt.spend(10 * MS);
        if rt.now() >= until {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    rt.settle();
    assert_eq!(rt.idle_percent(), 0);
    assert_eq!(rt.remote().load().idle_percent, 0);
}

#[test]
fn idle_time_is_the_share_of_the_last_second_spent_waiting() {
    let rt = Rt::start_by_hand();
    let end = rt.now() + 3 * SEC;
    rt.spawn(async move {
        while rt.now() < end {
            rt.spend(25 * MS);
            rt.sleep_until(rt.now() + 100 * MS).await;
        }
    });
    rt.pass_ms(3_000);
    // A second ends inside a wait, so that its edges count for one or the other.
    assert!((72..=78).contains(&rt.idle_percent()), "{} percent", rt.idle_percent());
    rt.pass_ms(1_500);
    rt.pass_ms(1_500);
    assert_eq!(rt.idle_percent(), 100);
}

#[test]
fn all_tasks_look_again_when_told_to() {
    let rt = Rt::start_by_hand();
    let stopping = Rc::new(Cell::new(false));
    for _ in 0..3 {
        let stopping = stopping.clone();
        rt.spawn(poll_fn(move |_| if stopping.get() { Poll::Ready(()) } else { Poll::Pending }));
    }
    rt.settle();
    assert_eq!(rt.task_count(), 3);
    stopping.set(true);
    rt.wake_all();
    rt.settle();
    assert_eq!(rt.task_count(), 0);
}

#[test]
fn who_yields_lets_the_others_and_new_events_go_first() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let seen: Record<&str> = Rc::default();
    let (greedy, other, reader) = (seen.clone(), seen.clone(), seen.clone());
    rt.spawn(async move {
        conn.recv(&mut [0; 8], NEVER).await.expect("a peer that speaks");
        reader.borrow_mut().push("event");
    });
    rt.spawn(async move {
        for _ in 0..3 {
            greedy.borrow_mut().push("greedy");
            rt.yield_now().await;
        }
    });
    rt.spawn(async move { other.borrow_mut().push("other") });
    std::io::Write::write_all(&mut peer, b"x").expect("room for a byte");
    rt.settle();
    // Woken by bytes that were there already, then as they stood in line; the greedy one goes on in the turns after.
    assert_eq!(*seen.borrow(), ["event", "greedy", "other", "greedy", "greedy"]);
}

#[test]
fn a_task_that_wakes_itself_does_not_keep_the_turn() {
    let rt = Rt::start_by_hand();
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    rt.spawn(poll_fn(move |context| {
        count.set(count.get() + 1);
        context.waker().wake_by_ref();
        if count.get() < 10 { Poll::Pending } else { Poll::Ready(()) }
    }));
    assert!(rt.turn_once());
    assert_eq!(polls.get(), 1, "epoll was not asked between two polls");
    rt.settle();
    assert_eq!(polls.get(), 10);
}

#[test]
#[cfg(debug_assertions)]
fn a_wait_under_a_waker_of_somebody_elses_is_refused() {
    let rt = Rt::start_by_hand();
    let refused = Rc::new(Cell::new(false));
    let told = refused.clone();
    rt.spawn(poll_fn(move |_| {
        let mut wait = std::pin::pin!(rt.sleep_until(NEVER));
        let mut foreign = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = std::panic::AssertUnwindSafe(|| wait.as_mut().poll(&mut foreign));
        told.set(std::panic::catch_unwind(polled).is_err());
        Poll::Ready(())
    }));
    rt.settle();
    assert!(refused.get(), "the wait would never have woken who polled it");
}

/// A crowd whose time is over at once does not run as one: who has something to do meanwhile is in between.
#[test]
fn those_whose_time_is_over_wake_a_few_in_a_turn() {
    let rt = Rt::start_by_hand();
    let woken = Rc::new(Cell::new(0));
    let until = rt.after_ms(10);
    for n in 0..500 {
        let woken = woken.clone();
        rt.spawn(async move {
            match n % 2 {
                0 => rt.sleep_until(until).await,
                _ => {
                    rt.wake_soon();
                    let mut waits = true;
                    poll_fn(|_| if std::mem::take(&mut waits) { Poll::Pending } else { Poll::Ready(()) })
                        .await;
                }
            }
            woken.set(woken.get() + 1);
        });
    }
    rt.settle();
    rt.spend(SEC);
    let mut most = 0;
    loop {
        let before = woken.get();
        let goes_on = rt.turn_once();
        most = most.max(woken.get() - before);
        if !goes_on && woken.get() > 0 {
            break;
        }
    }
    assert_eq!(woken.get(), 500);
    assert!(most <= 100, "{most} in one turn");
}

/// Those who shake hands with a crowd do not hold up the others: one signature a turn, in the order in which they asked,
/// and who has ended meanwhile takes nobody's place.
#[test]
fn work_that_takes_long_is_done_by_one_task_a_turn() {
    let rt = Rt::start_by_hand();
    let done: Record<usize> = Rc::default();
    let turns: Record<u64> = Rc::default();
    let gone = Rc::new(Cell::new(false));
    for n in 0..5 {
        let (done, turns, gone) = (done.clone(), turns.clone(), gone.clone());
        rt.spawn(async move {
            poll_fn(|_| match n == 2 && gone.get() {
                true => Poll::Ready(()),
                false if rt.may_be_heavy() => {
                    done.borrow_mut().push(n);
                    turns.borrow_mut().push(rt.turn_no());
                    Poll::Ready(())
                }
                false => Poll::Pending,
            })
            .await;
        });
    }
    rt.turn_once();
    assert_eq!(*done.borrow(), [0], "more than one in a turn");
    gone.set(true);
    rt.wake_all();
    while rt.turn_once() {}
    assert_eq!(*done.borrow(), [0, 1, 3, 4]);
    assert!(turns.borrow().windows(2).all(|two| two[0] < two[1]), "{turns:?}");
    let last = Rc::new(Cell::new(false));
    let seen = last.clone();
    rt.spawn(async move { seen.set(rt.may_be_heavy()) });
    rt.turn_once();
    assert!(last.get(), "nobody else wants it");
}

#[test]
fn what_is_waited_for_within_a_time_comes_or_does_not() {
    let rt = Rt::start_by_hand();
    let bell = Rc::new(tokio::sync::Notify::new());
    let heard = Rc::new(Cell::new(0));
    let (rung, count) = (bell.clone(), heard.clone());
    let end = rt.now() + 50 * MS;
    rt.spawn(async move {
        while rt.within(end, rung.notified()).await.is_some() {
            count.set(count.get() + 1);
        }
        count.set(count.get() + 100);
    });
    for n in 0..3 {
        rt.settle();
        assert_eq!(heard.get(), n);
        bell.notify_one();
    }
    rt.pass_ms(49);
    assert_eq!(heard.get(), 3);
    rt.pass_ms(1);
    assert_eq!(heard.get(), 103);
}
