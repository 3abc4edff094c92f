//! Every interleaving, up to a bound, of the threads that meet in the queue of a server and in the inbox of a worker.
//!
//! The files under test are compiled here once more, with loom's types in place of the standard library's under
//! `crate::base::sync`, and with stand-ins for the little else that they name. So the rest of the program, and all it
//! is built of, is neither compiled again nor in the way.

// The stand-ins are less than what they stand for, and not all of a file is used here.
#![allow(dead_code)]

mod base {
    pub mod sync {
        pub use loom::sync::{Mutex, MutexGuard};
        pub use std::sync::PoisonError;

        pub mod atomic {
            pub use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
        }
    }
}

mod os {
    pub mod epoll {
        use loom::sync::{Condvar, Mutex};

        /// As the kernel's: raised until it is cleared, and who waits sleeps while it is not.
        pub struct EventFd(Mutex<bool>, Condvar);

        impl EventFd {
            pub fn new() -> EventFd {
                EventFd(Mutex::new(false), Condvar::new())
            }

            pub fn raise(&self) {
                *self.0.lock().expect("no panic") = true;
                self.1.notify_all();
            }

            pub fn clear(&self) {
                *self.0.lock().expect("no panic") = false;
            }

            pub fn wait(&self) {
                let mut raised = self.0.lock().expect("no panic");
                while !*raised {
                    raised = self.1.wait(raised).expect("no panic");
                }
            }
        }
    }
}

mod counters {
    #[derive(Debug, Default)]
    pub struct Peak;

    impl Peak {
        pub fn raise(&self, _: u64) {}
    }
}

mod server {
    /// Which server: the queue only hands it on.
    pub type Server = u32;
}

#[path = "../../src/rt/inbox.rs"]
mod inbox;
#[path = "../../src/model/queue.rs"]
mod queue;

mod of_inbox;
mod of_queue;

/// Runs `body` in every order with at most so many preemptions; more find nothing that these do not, and take hours.
fn in_every_order(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(body);
}
