//! Isobar carries traffic for services that run in several regions: a proxy that reads `haproxy.cfg`, a region map from
//! which it takes servers and configuration, a DNS responder that answers from the same map, and a VIP agent, which reads
//! `keepalived.conf`, and a mirror that keeps container registries in step.
//!
//! # Rooms
//!
//! The modules below are in order: **a room uses only rooms above it** (`tests/tidy.rs` enforces it). From the ground
//! up: cells and clocks (`base`), syscalls (`os`), the data workers' runtime (`rt`), the language without its meaning
//! (`lang`), certificates and TLS (`tls`), nouns and live state (`model`), messages (`http`), connections and the control
//! plane's HTTP (`conn`), then logs, the DNS client (`resolve`), stick tables (`stick`) and who they are shared with (`peers`), what bodies pass (`filter`: compression, the cache), rules, balancing,
//! checks, the compiled configuration, the data plane (`proxy`; that of datagrams is `udp`), the map of regions and services (`region`) and its HTTP API
//! (`catalog`), servers of backends from the map (`discovery`), the agent of hosts that are no members (`client`), the DNS
//! responder (`dns`), addresses that move between nodes (`vip`), the mirror of registries (`mirror`), the administration
//! of it all (`admin`), the commands that speak to a running node (`operator`) and the process around it (`app`).
//!
//! # Threads
//!
//! Each data worker is a thread with an epoll instance and a task for each connection ([`rt`]). It never blocks, reads
//! no file, resolves no name and builds no configuration. What a task may do in one turn is bounded, in bytes and in
//! calls, so that connections interleave however fast a peer is. The control thread takes signals and swaps
//! configurations; checks have one thread of the same kind, however many there are (`check::lane`); the runtime API and agents
//! run on a small tokio runtime. When privileges are dropped, a child that
//! kept them opens files and sockets that the configuration names ([`os::opener`]).
//!
//! # Life of a request
//!
//! `proxy::accept` accepts -> `proxy::connection` (connection rules) -> `proxy::transaction` (HTTP) or `proxy::tcp`, phase by
//! phase: receive the head, http-request rules, use_backend, the backend's rules -> `proxy::route` picks a server, takes
//! a slot or queues, takes an idle connection (another worker's, if it has none: `proxy::takeover`) or opens one ->
//! `proxy::exchange` sends and reads the response's head, `proxy::retry` says what follows a failed try ->
//! `proxy::respond` runs its rules and forwards (`proxy::transfer`) -> `proxy::conclude` and `proxy::access` log and count.
//!
//! A [`proxy::stream::Stream`] owns neither its session, which it shares, nor its connections: it receives from a
//! [`proxy::downstream::Downstream`] and sends to a [`proxy::upstream::Upstream`], an HTTP/1 connection each or a stream of
//! an HTTP/2 one ([`http::h2`] is the machine, `proxy::h2` its I/O), over [`conn::Link`]s. What rules decided is interpreted in one place (`proxy::verdict`); where
//! one wants to know first what another service says of a request, a stream beside the client's asks (`proxy::ask`). A head is parsed where it was received
//! and leaves as slices of the read buffer; a body is copied while short and spliced when long (`BodyPath`, chosen when
//! the head is done). Where a proxy has filters ([`filter::Filter`]) it passes them, one after the other and piece by piece
//! (`proxy::passage`), and leaves in chunks if one of them makes another body of it; a response that rules found in the
//! cache takes the way of a server's from there on (`proxy::cached`). A connection to a server is used again only when request and response went through it whole.
//!
//! Over TLS a link drives rustls' machine without buffers of its own (`conn::tls`). One task a turn does what takes long, the
//! signature of a handshake ([`rt::Rt::may_be_heavy`]); a record of TLS 1.3 is sealed in the buffer that it is sent from
//! (`tls::gcm`), and its keys are derived from secrets that HMAC has worked in once (`tls::digest`).
//!
//! Where many rules compare the same sample, [`rules::candidates`] passes over those that cannot hold. What rules do is told
//! to whoever asks ([`rules::witness`]): `isobar trace` (`app::trace`) serves a request by a worker whose clock, clients and
//! servers are in its own hand ([`proxy::rehearsal`], [`rt::by_hand`]).
//!
//! # Life of a datagram
//!
//! A task of [`udp::plane`] takes a burst from a listening socket and finds each client's flow in [`udp::table`], or opens one
//! ([`udp::choice`]: the frontend's rules, a backend, a server) -> the burst leaves over the flow's own connected socket ->
//! that socket's task sends answers back through the listening one. A flow that is silent ends, and is logged and counted as
//! a TCP connection is ([`udp::account`]).
//!
//! # Life of an entry
//!
//! A worker changes an entry of a stick table under the lock of its shard, which puts it at the end of the shard's changes
//! and rings for whoever tells them ([`stick::changes`]); in a table of a cluster it keeps its place until somebody has looked -> a task of the control plane's runtime for each session
//! ([`peers::link`]) reads the changes after the last it told, and writes them ([`peers::session`]) -> the other side puts
//! them into its table, where they are no changes: nothing is told twice. Of two changes of one key the later stays.
//! In a table of a cluster each node owns its part of every count: the same changes are told as soft state of the region
//! map, and what the others told lies as a sum beside the own part of the entry ([`peers::cluster`]).
//!
//! # Life of a change
//!
//! A signal, a saved file (`watch-config`), a runtime command or a document of the region map is a `Change`
//! (`app::change`), and all of them go one way. `app::parts` loads the files once, and where old syntax is accepted
//! (`--legacy`) [`config::legacy`] puts today's lines in its place; each part of the configuration (the
//! watcher, the proxy, the region map, checks) builds its value of them (every finding is collected, with its place), says
//! what that changes, and prepares all that can fail: sockets are bound, files are read, permits are asked for. Only when
//! all parts have prepared is anything stored, in all of them: live cells keep health, counters and queues by name,
//! workers take the new configuration between two tasks, a stream keeps the one it began with, a session takes the newest
//! at its next request. Else all parts abandon what they made, and everything is as it was. Which words of the language
//! name files and addresses is said by their keyword entries; from there come what the opener permits and what is watched.
//! Certificates, authorities and their lists change in place by runtime commands ([`tls::Live`]); the next configuration takes
//! that over, except where a file says something else since.
//!
//! # Life of an instance
//!
//! `catalog` takes a registration -> [`region::Seat::propose`] -> one entry of Raft's log (`region::raft`), durable on a
//! quorum (`region::store`) -> every node applies it (`region::map`, no clock, no I/O) and wakes who waits for that
//! service -> `discovery` chooses by region (`region::choice`) and changes the backend's server list in place. Whether
//! it answers is found by its own node's prober (`region::prober`) and, for `service ... check`, by a few nodes of its
//! region for all (`region::checkers`); whether a region is lost, by the leader (`region::member`). What is registered
//! with a client agent (`client`) comes through a member's API. A configuration document goes the same way after
//! every live node has prepared it (`region::rollout`).
//!
//! # Life of a name
//!
//! A task of the control plane's runtime for each `resolvers` section (`discovery::names`) asks all its name servers at once
//! ([`resolve::Resolvers`]); records are kept for as long as `hold` says, servers take what is chosen for them in place:
//! connections to the old address end with what is under way, health and counters stay. A record of services gives free
//! servers names; one whose old address still has traffic gets no other, unless there would be no server at all. Names that
//! rules ask for (`do-resolve`) are asked for by the same task, while the stream waits.
//!
//! # Life of a DNS query
//!
//! A thread of [`dns::server`] takes a batch of datagrams, looks once at the responder's [`dns::answer::State`], and answers
//! each in place ([`dns::answer::respond`]): EDNS, then the zone, then a record of it, or one whose data comes from the map: its
//! policy sorts the regions for the client's network (made when geography changes), and who of them is healthy and has
//! room is looked at now ([`dns::policy::pick`]). [`dns::follow`] puts a new state in place when the map changes. What no zone
//! has is asked of upstream by [`resolve`], or refused. No query is a task, and none allocates unless upstream is asked.
//! Over TCP, TLS or HTTPS a connection is a task of the control plane's runtime, which answers by the same machine.
//!
//! # What the map does not hold
//!
//! What changes often and is worth nothing without its node (live sessions and capacity, shares of cluster-wide tables,
//! progress of jobs) goes beside the map, from each node to all others ([`region::soft`]): the last value wins, and all
//! of it is gone with its node. Who may do a thing alone holds a lease ([`region::lease`]), a record of the map whose time
//! the leader keeps. DNS reads the loads, the mirror tells its jobs, VIPs stand on both, and so do the tables of a cluster
//! (`discovery::shares`).
//!
//! # Life of a member
//!
//! Where `bind` says `ssl` without `crt` the cluster has an authority of its own (`region::member::authority`), made with
//! it and kept in the map. A node asks with a join token, by which it also knows whom it asks; the leader gives it an id,
//! a role and a certificate (`region::member::enrolling`), which it renews by itself (`renewal`). What a connection may
//! ask follows from what it shows (`region::raft::guest::Guest`): a member whose id was removed nothing more. Every member
//! has the map, so the authority's key, join tokens and the secrets of API tokens lie there sealed, under keys that
//! managers alone pass to each other; when one of them is none any more, all of it is made anew (`region::member::keepers`).
//!
//! # Life of an address
//!
//! A packet, a link that changes, a tracker or a timer -> `vip::agent` (a thread of its own, in real time where allowed)
//! -> [`vip::machine`], which has neither clock nor socket and answers with actions -> adverts, addresses under a lease of
//! two seconds that the kernel ends if nobody renews it, gratuitous ARP. Who gives up keeps the addresses until the next
//! master has spoken. `keepalived.conf` ([`vip::keepalived`]) and `vrrp` sections ([`vip::language`]) make one
//! [`vip::spec::Spec`]; programs, mail and files have threads beside the agent's. Where privileges are dropped the agent is a
//! process of its own, which keeps two capabilities and ends with the proxy. A `fenced` router asks for a lease of the map
//! before it is master, and lets go before that ends.
//!
//! # Life of an image
//!
//! A rule is due, or a registry announced a push -> the leader looks at both sides ([`mirror::run`]: lists and HEADs, no
//! pull), [`mirror::plan`] says what differs, [`mirror::schedule`] gives jobs to nodes -> a node takes the job's lease and
//! copies blobs before manifests and children before indexes ([`mirror::copy`]); each byte's digest is computed as it goes
//! by, and how far a large upload is stands in the map before more is sent, so that another node goes on with it. A job of
//! which its node says nothing is taken back.
//!
//! # What is absent
//!
//! No `unsafe` outside `os`. No clock is read outside `base::clock`. No I/O in `http`, `lang`, `stick`, `rules`, `balance`. No
//! allocation of unbounded size from the network. No guard of a shared cell across an `.await`.
//!
//! # Where this departs from the first design
//!
//! - Data workers run on [`rt`] rather than on a general runtime: a socket is registered with epoll at its first wait and
//!   holds its place among its worker's sockets itself (`rt::source`), a task has one deadline that costs a store to move,
//!   and an idle connection is one small future.
//! - `frontend`, `backend` and `listen` are one type ([`config::Proxy`]), because a `listen` is both sides and its rules
//!   run once.
//! - An entry of the map has an index of its own, at or after its place in Raft's log: proposals that share an entry
//!   must not share a ModifyIndex.
//! - A node of Raft counts an entry as held only once its disk has it, but tells `openraft` at once (`region::store::log`
//!   says where it waits instead).
//! - The HTTP/1 head is parsed by a pass of our own, which knows where an error is and what may be relaxed.

pub mod base;
pub mod os;
pub mod rt;
pub mod lang;
pub mod tls;
pub mod model;
pub mod http;
pub mod conn;
pub mod log;
pub mod resolve;
pub mod filter;
pub mod stick;
pub mod peers;
pub mod rules;
pub mod balance;
pub mod check;
pub mod config;
pub mod proxy;
pub mod udp;
pub mod region;
pub mod catalog;
pub mod discovery;
pub mod client;
pub mod dns;
pub mod vip;
pub mod mirror;
pub mod admin;
pub mod operator;
pub mod app;
