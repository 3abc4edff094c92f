//! What is counted. Each worker adds to its own shard; `show stat`, the stats page and Prometheus sum them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::Shards;

/// A counter with one writer (its shard's worker): an add is a load and a store, no locked instruction.
#[derive(Default, Debug)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub fn inc(&self) {
        self.add(1);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// `clear counters all`. An add at the same moment may win.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Requests that a mean of times reaches back over, as in HAProxy.
pub const WINDOW: u64 = 1024;

/// A time that every request has, in microseconds: what is needed for the mean of about the last [`WINDOW`], and the
/// longest. One writer, as [`Count`].
#[derive(Default, Debug)]
pub struct Recent {
    sum: AtomicU64,
    max: AtomicU64,
}

impl Recent {
    /// The sum gives up its own mean for each time that comes in.
    pub fn add(&self, us: u64) {
        let sum = self.sum.load(Ordering::Relaxed);
        if sum | us == 0 {
            return;
        }
        self.sum.store(sum - sum.div_ceil(WINDOW) + us, Ordering::Relaxed);
        if us > self.max.load(Ordering::Relaxed) {
            self.max.store(us, Ordering::Relaxed);
        }
    }

    pub fn reset(&self) {
        self.sum.store(0, Ordering::Relaxed);
        self.reset_max();
    }

    /// `clear counters`.
    pub fn reset_max(&self) {
        self.max.store(0, Ordering::Relaxed);
    }

    fn add_to(&self, total: &mut Span) {
        total.sum_us += self.sum.load(Ordering::Relaxed);
        total.max_us = total.max_us.max(self.max.load(Ordering::Relaxed));
    }
}

/// [`Recent`] of all shards together.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Span {
    sum_us: u64,
    pub max_us: u64,
}

/// Shards of counters of one kind.
pub trait Counters {
    fn add_to(&self, totals: &mut Totals);
}

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? } times { $($time:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Default, Debug)]
        pub struct $name {
            $(pub $field: Count,)*
            /// Requests in the times below.
            pub timed: Count,
            $(pub $time: Recent,)*
        }
        impl $name {
            pub fn reset(&self) {
                $(self.$field.reset();)*
                self.timed.reset();
                $(self.$time.reset();)*
            }

            /// `clear counters`.
            pub fn reset_max(&self) {
                $(self.$time.reset_max();)*
            }
        }
        impl Counters for $name {
            fn add_to(&self, totals: &mut Totals) {
                $(totals.$field += self.$field.value();)*
                totals.window += self.timed.value().min(WINDOW);
                $(self.$time.add_to(&mut totals.$time);)*
            }
        }
    };
}

/// [`Totals`] has every field of [`ProxyCounters`], so both come from one list.
macro_rules! proxy_counters {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? } times { $($time:ident),* $(,)? }) => {
        counters! { $(#[$doc])* $name { $($field),* } times { $($time),* } }

        /// The sum of all shards, of a proxy's side or a server (which does not count everything).
        #[derive(Clone, Default, Debug, PartialEq, Eq)]
        pub struct Totals {
            $(pub $field: u64,)*
            window: u64,
            $(pub $time: Span,)*
        }
    };
}

proxy_counters! {
    /// Of a frontend or backend side, one shard; names are those of `show stat` where they have one.
    ProxyCounters {
        // connections accepted (frontend), sessions (`stot`)
        conn_tot, sess_tot, bytes_in, bytes_out,
        denied_req, denied_resp, denied_conn, denied_sess,
        err_req, err_conn, err_resp, wretr, wredis, cli_aborts, srv_aborts,
        http_req, rsp_1xx, rsp_2xx, rsp_3xx, rsp_4xx, rsp_5xx, rsp_other,
        intercepted, failed_rewrites, internal_errors, lbtot, connect, reuse,
        comp_in, comp_out, comp_byp, comp_rsp, cache_lookups, cache_hits,
    } times {
        queue_time_us, connect_time_us, response_time_us, total_time_us,
    }
}

counters! {
    /// Of a server, one shard.
    ServerCounters {
        sess_tot, bytes_in, bytes_out, denied_resp, err_conn, err_resp, wretr, wredis, cli_aborts, srv_aborts,
        http_req, rsp_1xx, rsp_2xx, rsp_3xx, rsp_4xx, rsp_5xx, rsp_other,
        failed_rewrites, internal_errors, lbtot, connect, reuse,
    } times {
        queue_time_us, connect_time_us, response_time_us, total_time_us,
    }
}

impl Totals {
    pub fn of<T: Counters>(shards: &Shards<T>) -> Totals {
        let mut totals = Totals::default();
        shards.iter().for_each(|shard| shard.add_to(&mut totals));
        totals
    }

    /// The mean of one of the times over the last requests of every worker.
    pub fn mean_us(&self, time: Span) -> u64 {
        time.sum_us.checked_div(self.window).unwrap_or(0)
    }
}

/// A high-water mark shared by all workers.
#[derive(Default, Debug)]
pub struct Peak(AtomicU64);

impl Peak {
    pub fn raise(&self, value: u64) {
        if value > self.0.load(Ordering::Relaxed) {
            self.0.fetch_max(value, Ordering::Relaxed);
        }
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_follow_the_last_requests() {
        let shards: Shards<ServerCounters> = Shards::new(1);
        let count = |us: u64, times: u64| {
            for _ in 0..times {
                shards.mine().timed.inc();
                shards.mine().queue_time_us.add(us);
            }
        };
        let mean = || {
            let totals = Totals::of(&shards);
            totals.mean_us(totals.queue_time_us)
        };
        assert_eq!(mean(), 0);
        count(3000, 10);
        assert!((2950..=3000).contains(&mean()), "{}", mean());
        count(50_000, 20_000);
        assert!((49_900..=50_000).contains(&mean()), "{}", mean());
        assert_eq!(Totals::of(&shards).queue_time_us.max_us, 50_000);
        shards.iter().for_each(ServerCounters::reset_max);
        assert_eq!(Totals::of(&shards).queue_time_us.max_us, 0);
        assert!(mean() > 0);
    }
}
