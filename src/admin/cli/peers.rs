//! `show peers`.

use std::fmt::Write;

use crate::base::clock;
use crate::config::global::CliLevel::User;
use crate::lang::{Entry, Status};
use crate::peers::shown::{Peer, Section, State};

use super::command::Command;
use super::session::{Answer, Session};
use super::words::Args;

const ENTRY: Entry = Entry::full(
    "show peers",
    "[dict|-] [<section>]",
    "Who tables are shared with, and how far that is.",
    "show peers mine",
    "1.8",
);

pub static COMMANDS: &[Command] = &[Command {
    entry: ENTRY.with(Status::Partial("dictionaries are not shown, and figures that only HAProxy has are 0")),
    level: User,
    run: show,
}];

fn show(session: &mut Session, args: &Args) -> Answer {
    let name = if matches!(args.at(2), "dict" | "-") { args.at(3) } else { args.at(2) };
    let sections = session.control.peers();
    let mut shown = sections.iter().filter(|section| name.is_empty() || *section.name == *name).peekable();
    if !name.is_empty() && shown.peek().is_none() {
        return Answer::error("No such peers\n");
    }
    let mut out = String::new();
    for (i, section) in shown.enumerate() {
        // Writing to a String cannot fail.
        let _ = show_section(&mut out, section, i);
    }
    out.push('\n');
    Answer::Dump(out)
}

/// The moment as log lines have it.
fn date() -> String {
    let wall = clock::wall();
    let seconds = i64::try_from(wall.as_secs()).unwrap_or_default();
    let at = jiff::Timestamp::from_second(seconds).unwrap_or_default().to_zoned(clock::zone());
    at.strftime("%d/%b/%Y:%H:%M:%S").to_string()
}

fn show_section(out: &mut String, section: &Section, number: usize) -> std::fmt::Result {
    let place = 0x1000 * (number + 1);
    let (off, flags) = (u8::from(section.is_off), if section.is_whole { 3 } else { 0 });
    let resync = if section.is_whole { "<PAST>" } else { "5s" };
    writeln!(
        out,
        "{place:#x}: [{}] id={} disabled={off} flags={flags:#x} resync_timeout={resync} task_calls=0",
        date(),
        section.name
    )?;
    for (i, peer) in section.peers.iter().enumerate() {
        show_peer(out, section, peer, place + 0x100 * (i + 1))?;
    }
    Ok(())
}

fn show_peer(out: &mut String, section: &Section, peer: &Peer, place: usize) -> std::fmt::Result {
    let now = clock::now_ms();
    let (kind, activity) = (
        if peer.is_local { "local" } else { "remote" },
        if peer.since.is_some() { "active" } else { "inactive" },
    );
    let status = match peer.state {
        State::None => "NONE".to_owned(),
        State::Connecting => "CONN".to_owned(),
        State::Unreachable => "CONN".to_owned(),
        State::Refused(300) => "RETR".to_owned(),
        State::Refused(_) => "ERR".to_owned(),
        State::Established => "ESTA".to_owned(),
        State::Lost => "LOST".to_owned(),
    };
    let since = peer.since.map(|at| format!("{}s", clock::elapsed_ms(now, at) / 1000));
    let never = || "<NEVER>".to_owned();
    writeln!(
        out,
        "  {place:#x}: id={}({kind},{activity}) addr={} last_status={status} last_hdshk={}",
        peer.name,
        peer.address,
        since.unwrap_or_else(never)
    )?;
    let again = match peer.again {
        Some(at) if at > now => format!("{}s", (at - now) / 1000),
        Some(_) => "<PAST>".to_owned(),
        None => never(),
    };
    let tally = &peer.tally;
    writeln!(
        out,
        "        reconnect={again} heartbeat=<NEVER> confirm=0 tx_hbt={} rx_hbt={} no_hbt=0 new_conn={} \
         proto_err={} coll=0",
        tally.heartbeats_sent, tally.heartbeats_received, peer.sessions, peer.faults
    )?;
    writeln!(out, "        flags={:#x}", u8::from(peer.is_incoming))?;
    writeln!(out, "        shared tables:")?;
    for (i, table) in section.tables.iter().enumerate() {
        let progress = peer.progress.get(i).copied().unwrap_or_default();
        writeln!(
            out,
            "          {:#x} local_id={} remote_id={} flags=0x0 remote_data=0x0",
            place + i + 1,
            i + 1,
            progress.remote
        )?;
        writeln!(
            out,
            "              last_acked={} last_pushed={} last_get={} teaching_origin=0 update={}",
            progress.acked, progress.sent, progress.came, progress.sent
        )?;
        writeln!(
            out,
            "              table:{:#x} id={table} update={} localupdate={} commitupdate={} refcnt=1",
            0x10 + i,
            progress.sent,
            progress.sent,
            progress.acked
        )?;
    }
    Ok(())
}
