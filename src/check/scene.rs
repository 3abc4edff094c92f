//! What the formats and expressions of a check see: the server, what it answered, and the check's variables.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::balance::usable_counts;
use crate::base::buf::Buf;
use crate::base::{Nanos, clock};
use crate::http::{H1Options, Method};
use crate::model::{OperState, ProxyLive};
use crate::rules::{Ctx, Endpoint, Env, Reply, ServerState, Txn, Vars};

use super::change::Member;

/// What was received, as far as rules may look at it.
pub(super) struct Received<'a> {
    pub bytes: &'a [u8],
    /// The method of the request that an HTTP answer belongs to; `None` where no HTTP is spoken.
    pub answers: Option<Method>,
    /// Both ends of the connection.
    pub ends: Option<(std::net::SocketAddr, std::net::SocketAddr)>,
}

/// Runs `see` with what a check knows now.
pub(super) fn look<R>(
    member: Option<&Member>,
    vars: &Vars,
    received: &Received<'_>,
    see: impl FnOnce(Ctx<'_>) -> R,
) -> R {
    let mut txn = Txn { vars: vars.clone(), inspect_over: true, ..Txn::default() };
    if let Some((own, theirs)) = received.ends {
        txn.server_local = Endpoint::Inet(own);
        txn.server_remote = Endpoint::Inet(theirs);
    }
    match received.answers {
        Some(method) if !received.bytes.is_empty() => {
            let mut buf = Buf::take(received.bytes.len());
            buf.push(received.bytes);
            txn.res.buf = buf;
            let options = H1Options { max_head: received.bytes.len() + 1, ..H1Options::default() };
            let _ = txn.res.parse_response(method, &options);
            txn.status = txn.res.status;
        }
        Some(_) => {}
        None => txn.res_body = Bytes::copy_from_slice(received.bytes),
    }
    see(Ctx { txn: &txn, env: &Scene { member } })
}

struct Scene<'a> {
    member: Option<&'a Member>,
}

impl Env for Scene<'_> {
    fn frontend_name(&self) -> &str {
        ""
    }

    fn backend_name(&self) -> &str {
        self.member.map_or("", |member| &member.backend)
    }

    fn server_name(&self) -> Option<&str> {
        self.member.map(|member| &*member.server.spec.name)
    }

    fn listener_name(&self) -> &str {
        ""
    }

    fn ids(&self) -> (u32, u32, u32, u32) {
        (0, 0, self.member.map_or(0, |member| member.server.spec.id), 0)
    }

    fn proxy(&self, name: &str) -> Option<&ProxyLive> {
        let member = self.member?;
        (name.is_empty() || *name == *member.backend).then_some(&*member.proxy)
    }

    fn usable_servers(&self, backend: &str) -> Option<u32> {
        let member = self.member.filter(|member| backend.is_empty() || *backend == *member.backend)?;
        let (active, backup) = member.servers.with(|set| usable_counts(&set.list));
        Some(if active > 0 { active } else { backup })
    }

    fn server(&self, backend: &str, server: &str) -> Option<ServerState> {
        let member = self.member.filter(|member| backend.is_empty() || *backend == *member.backend)?;
        member.servers.with(|set| {
            let live = &set.by_name(server)?.1.live;
            Some(ServerState {
                is_up: live.oper() != OperState::Stopped,
                sessions: live.served.load(Ordering::Relaxed),
                queued: live.queue.len(),
                user_weight: live.user_weight.load(Ordering::Relaxed),
                ..ServerState::default()
            })
        })
    }

    fn now_ns(&self) -> Nanos {
        clock::now_ns()
    }

    fn date_us(&self) -> u64 {
        clock::wall().as_micros() as u64
    }

    fn hostname(&self) -> &str {
        ""
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn random(&self) -> u64 {
        // Keys of a new hasher are random.
        RandomState::new().hash_one(())
    }

    fn connections(&self) -> u32 {
        0
    }

    fn error_page(&self, _: u16, _: &Txn) -> Option<Reply> {
        None
    }
}
