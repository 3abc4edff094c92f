//! Takes connections of other members and answers their requests.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use openraft::Snapshot;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, mpsc};

use super::connection::Stream;
use super::frame::{
    self, Answer, Append, Appended, Denial, FRAME_BYTES, FrameError, MemberError, PREFACE, Piece, Request,
    STRANGER_BYTES,
};
use super::guest::{Accepted, Guest, Wrap};
use super::node::Node;
use super::types::{LogId, Vote};
use super::{election, expiry, proposer, read, renewals, soft};
use crate::region::map::Command;
use crate::region::member;
use crate::region::store::snapshot::Incoming;
use crate::region::store::{Snapshots, record};

/// Connections at once.
const CONNECTIONS: usize = 1024;
/// Of those, who have not shown who they are.
const STRANGERS: usize = 64;
/// How long one of these may stay.
const STRANGER_STAY: Duration = Duration::from_secs(60);
/// Requests of one connection that are worked on at once.
const AT_ONCE: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(5);
const WRITE_BYTES: usize = 256 << 10;
/// In memory no snapshot is larger.
const MEMORY_BYTES: u64 = 1 << 30;

/// Whether a guest may ask that; why not, if it may not.
fn admits(guest: Guest, node: &Node, request: &Request) -> Result<(), Denial> {
    let refused = |why: &str| Err(Denial::Refused(why.into()));
    match (guest, request) {
        (Guest::Trusted, Request::Enroll(_)) => Err(MemberError::NoAuthority.into()),
        (Guest::Trusted, _) => Ok(()),
        // Its certificate outlives it.
        (Guest::Member(id, _), _) if node.has_removed(id) => Err(MemberError::Unknown(id).into()),
        (Guest::Member(..), Request::Join(_) | Request::Form { .. } | Request::Hello(_)) => {
            refused("members join this cluster with a token")
        }
        (Guest::Member(id, _), asked) if speaks_for_another(id, asked) => {
            refused("this is said in another member's name")
        }
        // One that was given a vote a moment ago may be unknown here as a voter: then no other leads.
        (Guest::Member(id, _), asked)
            if is_of_voters(asked)
                && !node.votes(id)
                && node.leader().is_some_and(|other| other.id != id) =>
        {
            refused("a member without a vote neither leads nor stands for election")
        }
        (Guest::Member(id, _), Request::Forward(proposals))
            if proposals.iter().any(|proposal| is_of_managers(&proposal.command)) && !node.votes(id) =>
        {
            refused("a worker may not change who is a member, nor the cluster's secrets")
        }
        (Guest::Member(id, _), Request::Operate(what)) if !what.is_of(id) && !node.votes(id) => {
            refused("this node is no manager: ask a manager")
        }
        (Guest::Member(..), _) => Ok(()),
        (Guest::Founder, Request::Hello(_) | Request::Form { .. }) => Ok(()),
        (Guest::Founder, _) => refused("one that forms a cluster may not ask this"),
        (Guest::Stranger, Request::Enroll(_) | Request::Certify { .. }) => Ok(()),
        (Guest::Stranger, _) => refused("one without a certificate may only ask to join"),
    }
}

/// What who leads, or stands for election, says; `PreVote` changes nothing.
fn is_of_voters(request: &Request) -> bool {
    use Request::{Append, Call, Piece, StandAside, TakeOver, Vote};
    matches!(
        request,
        Append(_)
            | Piece(_)
            | Vote { .. }
            | TakeOver { .. }
            | StandAside { .. }
            | Call { kind: renewals::CALL, .. }
    )
}

/// Whether it is a word of Raft's that another than this member says. A leader that gives up names its successor.
fn speaks_for_another(member: u64, request: &Request) -> bool {
    let vote = match request {
        Request::Append(append) => append.vote,
        Request::Piece(piece) => piece.vote,
        Request::Vote { vote, .. } => *vote,
        _ => return false,
    };
    Vote::from(vote).leader_id.node_id != member
}

/// What managers alone propose: who has this may become one.
fn is_of_managers(command: &Command) -> bool {
    match command {
        Command::SecretPut { .. } | Command::MemberPut(_) | Command::MemberDelete { .. } => true,
        Command::Batch(all) => all.iter().any(|proposal| is_of_managers(&proposal.command)),
        _ => false,
    }
}

/// Answers those who connect, until the task is ended.
pub async fn run(node: Arc<Node>, listener: TcpListener, wrap: Wrap) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    let incoming: Receiving = Arc::default();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                tracing::warn!("region map: cannot accept: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (node, wrap, incoming) = (node.clone(), wrap.clone(), incoming.clone());
        let strangers = strangers.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let from = stream.peer_addr();
            if let Err(e) = connection(node, wrap(stream), incoming, &strangers).await {
                tracing::debug!("region map: the connection of {from:?} ended: {e}");
            }
            drop(permit);
        });
    }
}

async fn connection(
    node: Arc<Node>,
    stream: Accepted,
    incoming: Receiving,
    strangers: &Semaphore,
) -> Result<(), FrameError> {
    let greet = async {
        let (mut stream, guest) = stream.await?;
        let mut preface = [0; PREFACE.len()];
        stream.read_exact(&mut preface).await?;
        if preface != *PREFACE {
            return Err(FrameError::Preface);
        }
        stream.write_all(PREFACE).await?;
        stream.flush().await?;
        Ok((stream, guest))
    };
    let late = |_| FrameError::Io(std::io::ErrorKind::TimedOut.into());
    let (stream, guest) = tokio::time::timeout(HANDSHAKE, greet).await.map_err(late)??;
    if !member::is_itself(&node.view.map(), guest) {
        return Err(FrameError::Io(std::io::Error::other(
            "a certificate of a member for another key than its own",
        )));
    }
    if guest != Guest::Stranger {
        return converse(node, stream, guest, incoming).await;
    }
    let full = |_| FrameError::Io(std::io::ErrorKind::ConnectionRefused.into());
    let _place = strangers.try_acquire().map_err(full)?;
    let stay = tokio::time::timeout(STRANGER_STAY, converse(node, stream, guest, incoming));
    stay.await.map_err(late)?
}

async fn converse(
    node: Arc<Node>,
    stream: Box<dyn Stream>,
    guest: Guest,
    incoming: Receiving,
) -> Result<(), FrameError> {
    let (reader, writer) = tokio::io::split(stream);
    let (answers, queue) = mpsc::channel(AT_ONCE);
    let mut writing = tokio::spawn(write(writer, queue));
    let ended = tokio::select! {
        ended = requests(node, BufReader::with_capacity(64 << 10, reader), guest, answers, incoming) => ended,
        _ = &mut writing => Ok(()),
    };
    writing.abort();
    ended
}

async fn requests(
    node: Arc<Node>,
    mut reader: BufReader<tokio::io::ReadHalf<Box<dyn Stream>>>,
    guest: Guest,
    answers: mpsc::Sender<(u64, Answer)>,
    incoming: Receiving,
) -> Result<(), FrameError> {
    let (at_once, most) = match guest {
        Guest::Stranger => (1, STRANGER_BYTES),
        _ => (AT_ONCE, FRAME_BYTES),
    };
    let room = Arc::new(Semaphore::new(at_once));
    loop {
        let (id, request) = frame::read_within::<Request>(&mut reader, most).await?;
        let Ok(permit) = room.clone().acquire_owned().await else { return Ok(()) };
        let (node, answers, incoming) = (node.clone(), answers.clone(), incoming.clone());
        tokio::spawn(async move {
            let answer = match admits(guest, &node, &request) {
                Ok(()) => answer(&node, guest, request, &incoming).await,
                Err(denial) => Err(denial),
            };
            let answer = answer.unwrap_or_else(Answer::Denied);
            let _ = answers.send((id, answer)).await;
            drop(permit);
        });
    }
}

async fn write(
    mut writer: tokio::io::WriteHalf<Box<dyn Stream>>,
    mut answers: mpsc::Receiver<(u64, Answer)>,
) {
    while let Some(first) = answers.recv().await {
        let mut out = BytesMut::new();
        let mut next = Some(first);
        while let Some((id, answer)) = next.take() {
            let too_long = || frame::encode(id, &Answer::Denied(Denial::TooLarge));
            if let Ok(bytes) = frame::encode(id, &answer).or_else(|_| too_long()) {
                out.extend_from_slice(&bytes);
            }
            if out.len() < WRITE_BYTES {
                next = answers.try_recv().ok();
            }
        }
        if writer.write_all(&out).await.and(writer.flush().await).is_err() {
            return;
        }
    }
}

async fn answer(
    node: &Arc<Node>,
    guest: Guest,
    request: Request,
    incoming: &Receiving,
) -> Result<Answer, Denial> {
    match request {
        Request::Append(append) => append_entries(node, append).await,
        Request::Vote { to, vote, last } => {
            let raft = node.raft_of(to)?;
            let request = VoteRequest::new(vote.into(), last.map(LogId::from));
            let vote = raft.vote(request).await.map_err(|_| Denial::Shutdown)?;
            if vote.vote_granted {
                node.turn.granted();
            }
            let last = vote.last_log_id.map(Into::into);
            Ok(Answer::Vote { vote: vote.vote.into(), granted: vote.vote_granted, last })
        }
        Request::Piece(piece) => snapshot(node, piece, incoming).await,
        Request::Forward(proposals) => {
            let (replies, index) = proposer::forwarded(node, proposals).await?;
            Ok(Answer::Forwarded(replies, index))
        }
        Request::ReadIndex { consistent } => Ok(Answer::ReadIndex(read::local(node, consistent).await?)),
        Request::PreVote { to, last } => {
            node.raft_of(to)?;
            Ok(Answer::PreVote(election::promises(node, last.map(LogId::from))))
        }
        Request::Renew { session } => Ok(Answer::Renewed(expiry::renew_here(node, &session).await?)),
        Request::Call { kind: soft::CALL, body } => soft::heard(node, guest.member(), &body),
        Request::Call { kind: renewals::CALL, body } => renewals::answer(node, &body),
        Request::Call { kind, body } => super::call::answer(node, kind, body).await,
        other => member::answer(node, guest, other).await,
    }
}

async fn append_entries(node: &Node, append: Append) -> Result<Answer, Denial> {
    let raft = node.raft_of(append.to)?;
    let mut entries = Vec::with_capacity(append.entries.len());
    for bytes in &append.entries {
        entries.push(record::entry_from_bytes(bytes).map_err(|e| Denial::Refused(e.to_string()))?);
    }
    let prev = append.prev.map(LogId::from);
    let last = entries.last().map(|e| e.log_id).or(prev);
    let request = AppendEntriesRequest {
        vote: append.vote.into(),
        prev_log_id: prev,
        entries,
        leader_commit: append.commit.map(LogId::from),
    };
    let answer = raft.append_entries(request).await.map_err(|_| Denial::Shutdown)?;
    if !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
        node.heard_leader();
    }
    let held = match &answer {
        AppendEntriesResponse::Success => last,
        AppendEntriesResponse::PartialSuccess(upto) => *upto,
        _ => None,
    };
    let answer = match held {
        Some(id) => match durable(node, id, prev).await? {
            true => answer,
            // The disk is slow: the leader learns how far it is, and that this node lives. To have nothing at all of a
            // log is no progress for it to note.
            false => match durable_of(node, id, prev) {
                None => return Err(Denial::Timeout),
                upto => AppendEntriesResponse::PartialSuccess(upto),
            },
        },
        None => answer,
    };
    Ok(Answer::Append(match answer {
        AppendEntriesResponse::Success => Appended::Success,
        AppendEntriesResponse::PartialSuccess(upto) => Appended::Partial(upto.map(Into::into)),
        AppendEntriesResponse::Conflict => Appended::Conflict,
        AppendEntriesResponse::HigherVote(vote) => Appended::Higher(vote.into()),
    }))
}

/// Whether everything up to `id` is durable, which the leader waits for as long as it waits for an answer; see
/// `store::log`. An error when not even what came before these entries is.
async fn durable(node: &Node, id: LogId, prev: Option<LogId>) -> Result<bool, Denial> {
    let mut stable = node.log.stable();
    let patience = Duration::from_millis(node.timing.heartbeat_ms / 2);
    match tokio::time::timeout(patience, stable.reached(id.index)).await {
        Ok(true) => Ok(true),
        Ok(false) => Err(Denial::Shutdown),
        Err(_) if prev.is_none_or(|prev| prev.index < stable.end()) && prev != Some(id) => Ok(false),
        Err(_) => Err(Denial::Timeout),
    }
}

/// The last durable one of the entries from `prev` to `id`.
fn durable_of(node: &Node, id: LogId, prev: Option<LogId>) -> Option<LogId> {
    let upto = node.log.durable_upto(id).filter(|upto| *upto <= id && Some(*upto) >= prev);
    let upto = upto.filter(|upto| prev.is_none_or(|prev| upto.index >= prev.index));
    upto.or(prev)
}

/// The snapshot that is on its way in, named by its description. One at a time.
type Receiving = Arc<Mutex<Option<(bytes::Bytes, Incoming)>>>;

async fn snapshot(node: &Node, piece: Piece, receiving: &Receiving) -> Result<Answer, Denial> {
    let raft = node.raft_of(piece.to)?.clone();
    let vote = Vote::from(piece.vote);
    if node.log.vote().is_some_and(|mine| mine > vote) {
        let mine = node.log.vote().unwrap_or(vote);
        return Ok(Answer::Piece { written: 0, installed: Some(mine.into()) });
    }
    node.heard_leader();
    let mut receiving = receiving.lock().await;
    let failed = |e: std::io::Error| Denial::Refused(format!("the snapshot: {e}"));
    let mut incoming = match receiving.take() {
        Some((meta, incoming)) if meta == piece.meta && piece.offset != 0 => incoming,
        _ if piece.offset == 0 => node.snapshots.incoming().map_err(failed)?,
        _ => return Ok(Answer::Piece { written: 0, installed: None }),
    };
    if piece.offset != incoming.written() {
        let written = incoming.written();
        *receiving = Some((piece.meta, incoming));
        return Ok(Answer::Piece { written, installed: None });
    }
    if incoming.in_memory() && incoming.written() > MEMORY_BYTES {
        return Err(Denial::Full("the snapshot is too large for a node without data-dir".into()));
    }
    let put = tokio::task::spawn_blocking(move || incoming.put(&piece.data).map(|()| incoming)).await;
    let incoming = put.unwrap_or_else(|e| Err(std::io::Error::other(e))).map_err(failed)?;
    if !piece.last {
        let written = incoming.written();
        *receiving = Some((piece.meta, incoming));
        return Ok(Answer::Piece { written, installed: None });
    }
    let image = incoming.finish();
    let check = image.clone();
    // Read through before Raft sees it: what does not come out whole is the network's fault, not the store's.
    let checked = tokio::task::spawn_blocking(move || {
        Snapshots::load(&check, |map| std::io::copy(map, &mut std::io::sink()).map(drop))
    });
    let (meta, ()) = checked.await.unwrap_or_else(|e| Err(std::io::Error::other(e))).map_err(failed)?;
    let written = image.len();
    let snapshot = Snapshot { meta, snapshot: Box::new(image) };
    let done = raft.install_full_snapshot(vote, snapshot).await.map_err(|_| Denial::Shutdown)?;
    Ok(Answer::Piece { written, installed: Some(done.vote.into()) })
}
