//! Whether a client may have a flow, which backend it goes to, and which server.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::balance::{self, Method};
use crate::base::clock::MS;
use crate::config::proxy::ServerTarget;
use crate::model::{Pick, Server};
use crate::proxy::end::{Cause, End, Phase};
use crate::proxy::env::StreamEnv;
use crate::proxy::route::{self, Route};
use crate::proxy::server::{ServerSlot, acquire};
use crate::proxy::view::Servers;
use crate::proxy::worker::Worker;
use crate::rules::{self, Ctx, Endpoint, Outcome, Txn};

use super::flow::{Ear, Flow};

/// There is no server: a flow ends as a connection does that finds none.
pub const NO_SERVER: End = End::new(Cause::ServerAbort, Phase::Connect, 0);

/// Fills in what rules and logs see of a flow.
pub fn introduce(txn: &mut Txn, client: std::net::SocketAddr, local: std::net::SocketAddr) {
    (txn.client, txn.local) = (Endpoint::Inet(client), Endpoint::Inet(local));
    (txn.conn_client, txn.conn_local) = (txn.client, txn.local);
}

/// Runs the frontend's rules on connections. False: the flow is not to be.
pub fn admits(worker: &'static Worker, ear: &Ear, route: &Route<'_>, txn: &mut Txn) -> bool {
    let set = &route.front.rules.tcp_connection;
    if set.is_empty() {
        return true;
    }
    let env = StreamEnv::apart(worker, ear.cell.bind.get(), route, None);
    let counters = route.front.live.front.counters.mine();
    match set.run(txn, &env, &mut 0) {
        Outcome::Continue | Outcome::Stop => return true,
        Outcome::Error => counters.internal_errors.inc(),
        _ => counters.denied_conn.inc(),
    }
    false
}

/// Takes the backend that the frontend's rules lead to. False: there is none.
pub fn switch(worker: &'static Worker, ear: &Ear, route: &mut Route<'_>, txn: &Txn) -> bool {
    let switched = route.front.front.as_ref().and_then(|front| {
        let env = StreamEnv::apart(worker, ear.cell.bind.get(), route, None);
        route::switch(front, route.config, Ctx { txn, env: &env })
    });
    route.choose(switched)
}

/// A slot of the server that the backend's rules or its balancer name. A server that has no room is passed over where the
/// balancer may choose; there is no queue, as datagrams do not wait.
pub fn server(worker: &'static Worker, flow: &mut Flow) -> Result<ServerSlot, End> {
    let view = flow.view.clone();
    let mut route = Route::new(&view, flow.front);
    route.choose(Some(flow.back));
    let (proxy, now_ms) = (route.back, worker.rt.now() / MS);
    let back = proxy.back.as_ref().ok_or(NO_SERVER)?;
    let set = view.servers(flow.back).ok_or(NO_SERVER)?;
    let mut txn = worker.take_txn();
    introduce(&mut txn, flow.origin.peer, flow.local);
    txn.vars = std::mem::take(&mut flow.vars);
    let env = StreamEnv::apart(worker, flow.ear.cell.bind.get(), &route, None);
    let ctx = Ctx { txn: &txn, env: &env };
    let forced = forced(&set, &route, ctx);
    let is_forced = forced.is_some();
    let avoid = flow.avoid.and_then(|uid| set.list.iter().position(|s| s.live.uid == uid));
    let picked = forced.or_else(|| {
        let pick = Pick {
            hash: hash(&route, ctx),
            avoid,
            random: worker.random(),
            backend_cur: proxy.live.back.cur.load(Ordering::Relaxed),
            now: now_ms,
        };
        set.balancer.pick(&set.list, &pick)
    });
    flow.vars = std::mem::take(&mut txn.vars);
    worker.keep_txn(txn);
    let index = picked.ok_or(NO_SERVER)?;
    let server = &set.list[index];
    if !is_forced {
        server.live.counters.mine().lbtot.inc();
        proxy.live.back.counters.mine().lbtot.inc();
    }
    if !acquire(server, &proxy.live, back.fullconn, now_ms) {
        return Err(End::new(Cause::ServerAbort, Phase::Queue, 0));
    }
    count_session(server, now_ms);
    Ok(ServerSlot::hold(set.clone(), index, view.clone(), flow.back, now_ms))
}

fn count_session(server: &Server, now_ms: u64) {
    let live = &server.live;
    live.counters.mine().sess_tot.inc();
    live.sess_rate_max.raise(u64::from(live.sess_rate.add(now_ms, 1)));
    live.last_session_ms.store(now_ms, Ordering::Relaxed);
}

/// The server of the first `use-server` line that holds, if it is up.
fn forced(set: &Servers, route: &Route<'_>, ctx: Ctx<'_>) -> Option<usize> {
    let back = route.back.back.as_ref()?;
    let rule = back.use_server.iter().find(|rule| rule.condition.eval(ctx))?;
    let (index, server) = match &rule.target {
        ServerTarget::Server(name) => set.by_name(name)?,
        ServerTarget::Dynamic(format) => {
            let mut name = Vec::new();
            format.render(ctx, &mut name);
            set.by_name(std::str::from_utf8(&name).ok()?)?
        }
    };
    server.live.is_up().then_some(index)
}

/// The hash of what the backend's algorithm goes by.
fn hash(route: &Route<'_>, ctx: Ctx<'_>) -> Option<u32> {
    let back = route.back.back.as_ref()?;
    match &back.balance.method {
        Method::Source => match ctx.txn.client.inet()?.ip() {
            IpAddr::V4(ip) => balance::hash_key(&back.balance, &ip.octets()),
            IpAddr::V6(ip) => balance::hash_key(&back.balance, &ip.octets()),
        },
        Method::Expr(_) => {
            let sample = back.balance_expr.as_ref()?.eval(ctx)?;
            balance::hash_key(&back.balance, &rules::cast::text(sample))
        }
        _ => None,
    }
}

/// Moves a flow to the newest configuration, where its frontend, backend and server are still the same. False: one of
/// them is not.
pub fn renew(worker: &Worker, flow: &mut Flow) -> bool {
    let view = worker.view();
    let config = view.config();
    let front = flow.ear.cell.proxy.get();
    let name = &flow.view.config().proxy(flow.back).name;
    let kept = config.proxies.get(front.0 as usize).filter(|proxy| flow.slot.is_of(&proxy.live));
    let Some(back) = kept.and_then(|_| config.backends.get(name).copied()) else { return false };
    if !std::ptr::eq(&*config.proxy(back).live, &*flow.view.config().proxy(flow.back).live) {
        return false;
    }
    if let Some(up) = &mut flow.upstream {
        let uid = up.slot.server().live.uid;
        let Some(set) = view.servers(back) else { return false };
        let Some(index) = set.list.iter().position(|server| server.live.uid == uid) else { return false };
        // Held twice for a moment: the old place is given back when the new one is there.
        set.list[index].live.served.fetch_add(1, Ordering::SeqCst);
        up.slot = ServerSlot::hold(set, index, Rc::clone(&view), back, worker.rt.now() / MS);
    }
    (flow.view, flow.front, flow.back) = (view, front, back);
    true
}
