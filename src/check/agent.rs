//! Agents of servers (manual, "agent-check"): one task each asks how much its server may take, and what is answered is
//! done. Nobody is down because the agent does not answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::base::{Millis, clock};
use crate::model::agent::AgentSpec;
use crate::model::{CheckState, OperState, Took};

use super::change::{Member, NOTICE};
use super::io::describe;
use super::message::{self, Cause};
use super::status::{Finding, Status};

/// Most octets of an answer.
const ANSWER: usize = 1024;

/// What an agent says of the server's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admin {
    Ready,
    Drain,
    Maint,
}

/// What an agent says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Percent of the weight in the file.
    pub percent: Option<u32>,
    pub maxconn: Option<u32>,
    pub admin: Option<Admin>,
    pub is_up: Option<bool>,
    /// The word about the state and what follows it, for `last_agt`.
    pub text: String,
}

/// Reads an answer up to its first line end.
pub(super) fn read(answer: &[u8]) -> Said {
    let line = answer.split(|octet| matches!(octet, b'\r' | b'\n')).next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let words = line.split([' ', '\t', ',']).filter(|word| !word.is_empty());
    let mut said = Said::default();
    for word in words {
        if let Some(number) = word.strip_suffix('%') {
            said.percent = number.parse().ok();
        } else if let Some(number) = word.strip_prefix("maxconn:") {
            said.maxconn = number.parse().ok();
        } else if word.eq_ignore_ascii_case("ready") {
            said.admin = Some(Admin::Ready);
        } else if word.eq_ignore_ascii_case("drain") {
            said.admin = Some(Admin::Drain);
        } else if word.eq_ignore_ascii_case("maint") {
            said.admin = Some(Admin::Maint);
        } else if ["down", "fail", "stopped"].iter().any(|down| word.eq_ignore_ascii_case(down)) {
            (said.is_up, said.text) = (Some(false), word.to_owned());
        } else if word.eq_ignore_ascii_case("up") {
            (said.is_up, said.text) = (Some(true), word.to_owned());
        } else if word.starts_with('#') {
            break;
        }
    }
    // A word of its own that begins with a sharp begins what describes the state.
    let described = line.match_indices('#').find(|(at, _)| line[..*at].ends_with([' ', '\t', ',']));
    let description = described.map_or("", |(at, _)| line[at + 1..].trim());
    if !description.is_empty() && said.is_up.is_some() {
        said.text = format!("{} ({description})", said.text);
    }
    said
}

/// An agent that is asked; it is no more when this is dropped.
pub(super) struct Agent {
    task: JoinHandle<()>,
    member: Member,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agent {
    pub(super) fn start(member: Member, spec: Arc<AgentSpec>, offset_ms: u64) -> Agent {
        let asking = Asking { member: member.clone(), spec };
        Agent { task: tokio::spawn(asking.run(offset_ms)), member }
    }

    /// Whether this is the agent of the server as it is now.
    pub(super) fn is_of(&self, member: &Member) -> bool {
        Arc::ptr_eq(&self.member.server.live, &member.server.live)
            && *self.member.server.spec == *member.server.spec
            && self.member.kind == member.kind
            && self.member.check == member.check
            && Arc::ptr_eq(&self.member.servers, &member.servers)
    }
}

struct Asking {
    member: Member,
    spec: Arc<AgentSpec>,
}

impl Asking {
    async fn run(self, offset_ms: u64) {
        tokio::time::sleep(Duration::from_millis(offset_ms)).await;
        loop {
            if self.member.live().agent.enabled.load(Ordering::Relaxed) {
                self.turn().await;
            }
            tokio::time::sleep(Duration::from_millis(self.spec.inter_ms)).await;
        }
    }

    async fn turn(&self) {
        let began = clock::now_ms();
        let ms = if self.spec.timeout_ms > 0 { self.spec.timeout_ms } else { self.spec.inter_ms };
        let asked = tokio::time::timeout(Duration::from_millis(ms), self.ask()).await;
        let now = clock::now_ms();
        if !self.member.live().agent.enabled.load(Ordering::Relaxed) {
            return;
        }
        let found = |status, text: &str| {
            let mut finding = Finding::new(status, text);
            (finding.number, finding.duration_ms) = (Some(0), Some(now.saturating_sub(began)));
            finding
        };
        let (status, text) = match &asked {
            Ok(Ok(answer)) => {
                let said = read(answer);
                let status = match said.is_up {
                    Some(true) => Status::L7Ok,
                    Some(false) => Status::L7Sts,
                    None => Status::Checked,
                };
                let via = format!("via agent : {}", said.text);
                let finding = found(status, &via);
                let line = self.line(&finding, said.is_up);
                self.member.obey(&said, finding, line, now);
                (status, if said.is_up.is_some() { via } else { said.text })
            }
            Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => (Status::L4Con, describe(e)),
            Ok(Err(e)) => (Status::SockErr, describe(e)),
            Err(_) => (Status::L4Timeout, String::new()),
        };
        // An agent that answered was told of already.
        let line = if matches!(asked, Ok(Ok(_))) { None } else { self.line(&found(status, &text), None) };
        if let Some(line) = line {
            self.member.say(NOTICE, &line);
        }
        let state = CheckState {
            status: status.code(),
            code: status.has_number().then_some(0),
            took: Took::new(Some(now.saturating_sub(began))),
            text,
        };
        self.member.live().agent.check.store(Arc::new(state));
    }

    /// The line for `option log-health-checks`, if the finding is another one than before. `is_up`: what the agent says.
    fn line(&self, finding: &Finding, is_up: Option<bool>) -> Option<String> {
        let live = self.member.live();
        let was_up = live.agent.health.load(Ordering::Relaxed) > 0;
        let is_other = live.agent.check.with(|check| check.status != finding.status.code());
        let is_told = finding.status != Status::Checked && (is_other || is_up.is_some_and(|up| up != was_up));
        if !self.spec.log_checks || !is_told {
            return None;
        }
        let weight = live.user_weight.load(Ordering::Relaxed);
        Some(message::agent(self.member.subject(), finding, is_up.unwrap_or(was_up), weight))
    }

    async fn ask(&self) -> io::Result<Vec<u8>> {
        let agent = &self.member.live().agent;
        let own = self.member.server.address().inet().map(|address| address.ip());
        let addr = agent.addr.with(|addr| *addr).or(self.spec.addr).or(own);
        let addr = addr.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let port = match agent.port.load(Ordering::Relaxed) {
            0 => self.spec.port,
            port => port as u16,
        };
        let mut stream = TcpStream::connect(SocketAddr::new(addr, port)).await?;
        let send = agent.send.with(|send| send.clone()).unwrap_or_else(|| self.spec.send.clone());
        stream.write_all(&send).await?;
        let mut answer = Vec::new();
        loop {
            let size = stream.read_buf(&mut answer).await?;
            let is_whole = answer.iter().any(|octet| matches!(octet, b'\r' | b'\n'));
            if size == 0 || is_whole || answer.len() >= ANSWER {
                return Ok(answer);
            }
        }
    }
}

impl Member {
    /// Does what the agent says; `line` tells what it said, where that is to be told.
    fn obey(&self, said: &Said, finding: Finding, line: Option<String>, now: Millis) {
        let live = self.live();
        if let Some(percent) = said.percent {
            let weight = (u64::from(self.server.spec.weight) * u64::from(percent) / 100).min(256) as u32;
            if live.user_weight.swap(weight, Ordering::Relaxed) != weight {
                self.refresh(now);
            }
        }
        if let Some(maxconn) = said.maxconn {
            live.maxconn.store(maxconn, Ordering::Relaxed);
        }
        match said.admin {
            Some(Admin::Ready) => self.ready(now),
            Some(Admin::Drain) => self.drain(now),
            Some(Admin::Maint) => self.maintain("", now),
            None => {}
        }
        if let Some(line) = &line {
            self.say(NOTICE, line);
        }
        if let Some(is_up) = said.is_up {
            let is_logged = self.server.spec.agent.as_ref().is_some_and(|agent| agent.log_checks);
            let cause = if is_logged { Cause::Silent } else { Cause::Check(finding) };
            self.agent_says(is_up, &cause, now);
        }
    }

    /// Up or down as far as the agent is concerned (`set server agent` as well); checks have a say of their own.
    pub fn agent_says(&self, is_up: bool, cause: &Cause, now: Millis) {
        let live = self.live();
        live.agent.health.store(u32::from(is_up), Ordering::Relaxed);
        let lock = self.lock();
        if !is_up {
            self.stop(cause, now);
        } else if live.oper() == OperState::Stopped && !self.is_failing() {
            self.run(cause, now);
        }
        drop(lock);
        self.lead(now);
    }

    /// Its own checks say that it is down.
    fn is_failing(&self) -> bool {
        let live = self.live();
        let is_checked = self.check.is_some() && live.check_enabled.load(Ordering::Relaxed);
        is_checked && live.health.load(Ordering::Relaxed) < self.server.spec.rise
    }

    /// The agent says that it is down, whatever its checks find.
    pub(super) fn is_held_down(&self) -> bool {
        let agent = &self.live().agent;
        agent.enabled.load(Ordering::Relaxed) && agent.health.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_words() {
        let said = read(b"75%,maxconn:30,maint,down\nup");
        assert_eq!((said.percent, said.maxconn, said.admin), (Some(75), Some(30), Some(Admin::Maint)));
        assert_eq!((said.is_up, said.text.as_str()), (Some(false), "down"));
        let said = read(b"ready\tup\r\n");
        assert_eq!((said.admin, said.is_up, said.percent), (Some(Admin::Ready), Some(true), None));
        let said = read(b"fail # out of memory\n");
        assert_eq!((said.is_up, said.text.as_str()), (Some(false), "fail (out of memory)"));
        assert_eq!(read(b"fail#up\n"), Said::default(), "HAProxy 2.6 does not know that word");
        assert_eq!(read(b"STOPPED").is_up, Some(false));
        assert_eq!(read(b"drain 50%").admin, Some(Admin::Drain));
        assert_eq!(read(b"what is this"), Said::default());
    }
}
