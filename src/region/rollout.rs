//! Configuration documents: put on every node or on none.
//!
//! Whoever is asked to put a document asks every member that is alive to prepare it: to parse, build and bind what it
//! would run with. Only when all can does the document enter the map, and with that entry of the log every node
//! activates it. A member that is away catches up when it is back.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::map::{Command, Document, Member, Name, Refusal, Reply};
use super::raft::{Called, Callee, RaftHandle};
use super::seat::{Consistency, Seat, SeatError};

/// Kinds of calls between members.
const PREPARE: u8 = 1;
const STATE: u8 = 2;

/// A node that has not answered in this time cannot be counted on.
const PREPARE_TIME: Duration = Duration::from_secs(20);
const ASK_TIME: Duration = Duration::from_secs(3);

/// Largest document, in bytes.
pub const DOCUMENT_BYTES: usize = 1 << 20;

/// What a node has made of the documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What it runs with: version by name.
    pub runs: BTreeMap<String, u64>,
    /// Why it does not run with what the map says; empty when it does.
    pub why: String,
}

pub type Prepared<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// This node, which runs with documents.
pub trait Local: Send + Sync {
    /// Parses, builds and prepares as if the document were there; changes nothing. An error is what is wrong, in lines.
    fn prepare(&self, name: &str, text: Bytes) -> Prepared<'_>;

    fn state(&self) -> State;
}

/// Why a document was not put.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    #[error("a document has at most {DOCUMENT_BYTES} bytes")]
    TooLarge,
    #[error(
        "{0:?} is no name for a document: letters, digits, '.', '_' and '-', not '.' at first, at most 64"
    )]
    Name(String),
    /// What the nodes said, by node.
    #[error("{}", lines(.0))]
    Refused(Vec<(Name, String)>),
    #[error(transparent)]
    Command(#[from] Refusal),
    #[error(transparent)]
    Seat(#[from] SeatError),
}

fn lines(all: &[(Name, String)]) -> String {
    let mut out = String::new();
    for (node, text) in all {
        for line in text.lines() {
            out.push_str(&format!("{node}: {line}\n"));
        }
    }
    out
}

/// What of a document one node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    pub node: Name,
    pub alive: bool,
    /// `None`: it could not be asked, and `why` says why.
    pub state: Option<State>,
    pub why: String,
}

/// Documents from one node's point of view.
pub struct Rollout {
    seat: Seat,
    raft: Arc<RaftHandle>,
}

impl Rollout {
    pub fn new(seat: Seat, raft: Arc<RaftHandle>) -> Self {
        Rollout { seat, raft }
    }

    fn members(&self) -> Vec<Arc<Member>> {
        self.seat.map().members().cloned().collect()
    }

    /// Puts a document if every live member can activate it. `None`: only tries. Tells the version it has now.
    pub async fn put(
        &self,
        name: &str,
        text: Bytes,
        author: &str,
        dry: bool,
    ) -> Result<Option<u64>, RolloutError> {
        if !is_name(name) {
            return Err(RolloutError::Name(name.into()));
        }
        if text.len() > DOCUMENT_BYTES {
            return Err(RolloutError::TooLarge);
        }
        self.seat.fresh(Consistency::Default).await?;
        let expected = self.seat.map().document(name).map_or(0, |d| d.version);
        self.prepare(name, &text).await?;
        if dry {
            return Ok(None);
        }
        let command =
            Command::DocumentPut { name: name.into(), text, author: author.into(), expected: Some(expected) };
        match self.seat.propose(command).await? {
            Reply::Refused(refusal) => Err(refusal.into()),
            Reply::Id { id, .. } => Ok(Some(id)),
            _ => Ok(self.seat.map().document(name).map(|d| d.version)),
        }
    }

    async fn prepare(&self, name: &str, text: &Bytes) -> Result<(), RolloutError> {
        let body = postcard::to_stdvec(&(name, text)).map_err(|_| RolloutError::TooLarge)?;
        let asked =
            self.ask(self.members().into_iter().filter(|m| m.alive), PREPARE, body.into(), PREPARE_TIME);
        let refused: Vec<(Name, String)> = asked
            .await
            .into_iter()
            .filter_map(|(member, answer)| Some((member.name.clone(), answer.err()?)))
            .collect();
        if refused.is_empty() { Ok(()) } else { Err(RolloutError::Refused(refused)) }
    }

    /// Asks members at once; answers in their order.
    async fn ask(
        &self,
        members: impl Iterator<Item = Arc<Member>>,
        kind: u8,
        body: Bytes,
        within: Duration,
    ) -> Vec<(Arc<Member>, Result<Bytes, String>)> {
        let asks: Vec<_> = members
            .map(|member| {
                let (raft, body) = (self.raft.clone(), body.clone());
                let id = member.id;
                (member, tokio::spawn(async move { raft.call(id, kind, body, within).await }))
            })
            .collect();
        let mut answers = Vec::with_capacity(asks.len());
        for (member, ask) in asks {
            let answer = match ask.await {
                Ok(answer) => answer.map_err(|e| e.to_string()),
                Err(e) => Err(e.to_string()),
            };
            answers.push((member, answer));
        }
        answers
    }

    /// What each member runs.
    pub async fn status(&self) -> Vec<NodeState> {
        let answers = self.ask(self.members().into_iter(), STATE, Bytes::new(), ASK_TIME).await;
        answers
            .into_iter()
            .map(|(member, answer)| {
                let (node, alive) = (member.name.clone(), member.alive);
                let state = answer.and_then(|b| postcard::from_bytes::<State>(&b).map_err(|e| e.to_string()));
                match state {
                    Ok(state) => NodeState { node, alive, why: state.why.clone(), state: Some(state) },
                    Err(why) => NodeState { node, alive, state: None, why },
                }
            })
            .collect()
    }

    /// Puts an old version again, as a new one.
    pub async fn rollback(
        &self,
        name: &str,
        version: u64,
        author: &str,
    ) -> Result<Option<u64>, RolloutError> {
        let map = self.seat.map();
        let old: Option<Arc<Document>> = map.history(name).find(|d| d.version == version).cloned();
        let Some(old) = old else { return Err(Refusal::UnknownDocument(name.into()).into()) };
        self.put(name, old.text.clone(), author, false).await
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(fits)
}

/// Answers what [`Rollout`]s of other members ask.
pub struct Answering(RwLock<Option<Arc<dyn Local>>>);

impl Answering {
    pub fn new() -> Arc<Answering> {
        Arc::new(Answering(RwLock::new(None)))
    }

    /// The node can answer now.
    pub fn with(&self, local: Arc<dyn Local>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(local);
    }
}

impl Callee for Answering {
    fn called(&self, kind: u8, body: Bytes) -> Called<'_> {
        let local = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            let local = local.ok_or("this node is starting")?;
            match kind {
                PREPARE => {
                    let (name, text): (String, Bytes) =
                        postcard::from_bytes(&body).map_err(|e| e.to_string())?;
                    local.prepare(&name, text).await.map(|()| Bytes::new())
                }
                STATE => postcard::to_stdvec(&local.state()).map(Bytes::from).map_err(|e| e.to_string()),
                _ => Err(format!("this node knows no call of kind {kind}")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names_without_surprises() {
        for good in ["web", "a.b-c_1"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".hidden", "..", "a/b", "ü", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn each_line_says_whose_it_is() {
        let error =
            RolloutError::Refused(vec![("a".into(), "one\ntwo".into()), ("b".into(), "three".into())]);
        assert_eq!(error.to_string(), "a: one\na: two\nb: three\n");
    }
}
