//! What is counted. Each worker adds to its own shard; `show stat`, the stats page and Prometheus sum them.

use std::sync::atomic::{AtomicU64, Ordering};

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

    /// `clear counters`.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Default, Debug)]
        pub struct $name { $(pub $field: Count,)* }
        impl $name {
            pub fn reset(&self) { $(self.$field.reset();)* }
        }
    };
}

counters! {
    /// Of a frontend or backend side, one shard; names are those of `show stat` where they have one.
    ProxyCounters {
        // connections accepted (frontend), sessions (`stot`)
        conn_tot, sess_tot, bytes_in, bytes_out,
        denied_req, denied_resp, denied_conn, denied_sess,
        err_req, err_conn, err_resp, wretr, wredis, cli_aborts, srv_aborts,
        http_req, rsp_1xx, rsp_2xx, rsp_3xx, rsp_4xx, rsp_5xx, rsp_other,
        intercepted, failed_rewrites, internal_errors, lbtot, connect, reuse,
        // sums over responses in microseconds, for qtime/ctime/rtime/ttime averages
        queue_time_us, connect_time_us, response_time_us, total_time_us, timed,
    }
}

counters! {
    /// Of a server, one shard.
    ServerCounters {
        sess_tot, bytes_in, bytes_out, denied_resp, err_conn, err_resp, wretr, wredis, cli_aborts, srv_aborts,
        http_req, rsp_1xx, rsp_2xx, rsp_3xx, rsp_4xx, rsp_5xx, rsp_other,
        failed_rewrites, internal_errors, lbtot, connect, reuse,
        queue_time_us, connect_time_us, response_time_us, total_time_us, timed,
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
