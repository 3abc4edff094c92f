//! A session after its greeting, as a machine: what comes is given to [`Session::receive`], what goes is made by
//! [`Session::fill`]. Tables are read and changed in place.
//!
//! Entries always go with their number (types 80 and 85): HAProxy 3.4 acknowledges the short forms wrongly. Everything
//! that came is acknowledged before anything goes, so that who gets an entry knows what its sender had.

use std::sync::Arc;

use crate::stick::{Cursor, Key, Learned, Learning, Table, Walk};

use super::definition::{self, Definition};
use super::dictionary::{Received, Sent};
use super::message::{self, Fault, Message, control, table as kinds};
use super::update::{self, Field, Placed};
use super::varint::{self, Fields};

/// Tables of the other side that are remembered.
const MOST_TABLES: usize = 4096;
/// Octets that the version of an entry takes behind its values.
const VERSION: usize = 8;

/// A table, and what it is called between peers.
#[derive(Clone, Debug)]
pub struct Shared {
    pub wire: Box<str>,
    pub table: Arc<Table>,
}

/// How far this process is with telling a table, and the other side with its own.
#[derive(Debug, Default)]
struct State {
    cursor: Cursor,
    /// What the other side has for sure.
    known: Cursor,
    /// The cursor as it was at an entry whose arrival was not acknowledged yet.
    pending: Option<(u32, Cursor)>,
    /// Numbers of entries: sent, acknowledged by the other side.
    sent: u32,
    acked: u32,
    /// The same of what came.
    came: u32,
    is_ack_due: bool,
    /// The number of the table on the other side.
    remote: Option<u64>,
}

impl State {
    /// All up to the cursor was told: the other side has it once the last entry of it is acknowledged, which may have
    /// been before this was known.
    fn reached(&mut self) {
        match self.sent == self.acked {
            true => self.known.join(&self.cursor),
            false => self.pending = Some((self.sent, self.cursor.clone())),
        }
    }
}

/// A table of the other side.
#[derive(Debug)]
struct Known {
    id: u64,
    /// The table here and how values come; none: it is not shared, or is another thing here.
    here: Option<(usize, Vec<Field>)>,
}

/// What the other side has said about teaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has taught what it knows; true: and that is all.
    Taught(bool),
}

/// Figures of a session, for those who look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub updates_sent: u64,
    pub updates_received: u64,
    pub heartbeats_sent: u64,
    pub heartbeats_received: u64,
}

/// How far a table is, for those who look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub remote: u64,
    pub acked: u32,
    pub sent: u32,
    pub came: u32,
}

/// Whether all entries are told, and where that stands.
#[derive(Clone, Copy, Debug, Default)]
struct Lesson {
    table: usize,
    walk: Walk,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    tables: Arc<[Shared]>,
    states: Vec<State>,
    /// Octets that came and are no whole message yet.
    input: Vec<u8>,
    out: Vec<u8>,
    known: Vec<Known>,
    /// The table of the other side that its entries are of.
    reading: Option<usize>,
    /// The table that was defined last.
    writing: Option<usize>,
    sent: Sent,
    received: Received,
    values: Vec<Placed>,
    lesson: Option<Lesson>,
    /// The table whose changes come next.
    turn: usize,
    has_news: bool,
    is_timed: bool,
    is_ours: bool,
    is_mute: bool,
    is_confirm_due: bool,
    is_request_due: bool,
    pub tally: Tally,
}

impl Session {
    /// A session about tables. `minor`: the version that the other side speaks. `is_ours`: it is an Isobar. `memory`: what
    /// it had for sure when its last session ended.
    pub fn new(tables: Arc<[Shared]>, minor: u8, is_ours: bool, memory: &Memory) -> Session {
        let states = tables.iter().map(|shared| {
            let known = memory.of(&shared.table).unwrap_or_else(|| shared.table.cursor());
            State { cursor: known.clone(), known, ..State::default() }
        });
        Session {
            states: states.collect(),
            tables,
            input: Vec::new(),
            out: Vec::new(),
            known: Vec::new(),
            reading: None,
            writing: None,
            sent: Sent::default(),
            received: Received::default(),
            values: Vec::new(),
            lesson: None,
            turn: 0,
            has_news: true,
            is_timed: minor > 0,
            is_ours,
            is_mute: false,
            is_confirm_due: false,
            is_request_due: false,
            tally: Tally::default(),
        }
    }

    /// The other side is an old process of the same name, which is to teach and to be told nothing.
    pub fn mute(&mut self) {
        self.is_mute = true;
    }

    /// Something was changed here.
    pub fn note_news(&mut self) {
        self.has_news = true;
    }

    /// Asks to be taught everything.
    pub fn ask(&mut self) {
        self.is_request_due = true;
    }

    /// What is to be sent.
    pub fn out(&self) -> &[u8] {
        &self.out
    }

    /// All of [`out`](Session::out) was sent.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Says that this side is there.
    pub fn beat(&mut self) {
        self.tally.heartbeats_sent += 1;
        self.out.extend([message::CONTROL, control::HEARTBEAT]);
    }

    /// What the other side has for sure.
    pub fn memory(&self) -> Memory {
        let of = |(shared, state): (&Shared, &State)| (shared.table.clone(), state.known.clone());
        Memory { list: self.tables.iter().zip(&self.states).map(of).collect() }
    }

    /// How far the tables are, in their order.
    pub fn progress(&self) -> Vec<Progress> {
        let of = |state: &State| Progress {
            remote: state.remote.unwrap_or(0),
            acked: state.acked,
            sent: state.sent,
            came: state.came,
        };
        self.states.iter().map(of).collect()
    }

    /// Takes octets that came.
    pub fn receive(&mut self, bytes: &[u8], now_ms: u64) -> Result<Vec<Event>, Fault> {
        let mut events = Vec::new();
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(message) = message::read(input.get(at..).unwrap_or_default())? {
            at += message.len;
            self.message(message, now_ms, &mut events)?;
        }
        input.drain(..at);
        self.input = input;
        Ok(events)
    }

    fn message(&mut self, message: Message<'_>, now_ms: u64, events: &mut Vec<Event>) -> Result<(), Fault> {
        let Message { class, kind, content, .. } = message;
        match (class, kind) {
            (message::CONTROL, control::RESYNC_REQUEST) => self.lesson = Some(Lesson::default()),
            (message::CONTROL, control::RESYNC_FINISHED | control::RESYNC_PARTIAL) => {
                self.is_confirm_due = true;
                let event = Event::Taught(kind == control::RESYNC_FINISHED);
                if !events.contains(&event) {
                    events.push(event);
                }
            }
            (message::CONTROL, control::HEARTBEAT) => self.tally.heartbeats_received += 1,
            (message::TABLE, kinds::DEFINE) => self.define(content).ok_or(Fault::Protocol)?,
            (message::TABLE, kinds::SWITCH) => {
                let id = Fields::new(content).integer().ok_or(Fault::Protocol)?;
                self.reading = self.known.iter().position(|known| known.id == id);
            }
            (message::TABLE, kinds::ACK) => self.acknowledged(content).ok_or(Fault::Protocol)?,
            (
                message::TABLE,
                kinds::UPDATE | kinds::INCREMENTAL | kinds::TIMED_UPDATE | kinds::TIMED_INCREMENTAL,
            ) => self.update(kind, content, now_ms).ok_or(Fault::Protocol)?,
            // What is not known is passed over, as by HAProxy.
            _ => {}
        }
        Ok(())
    }

    /// A table of the other side.
    fn define(&mut self, content: &[u8]) -> Option<()> {
        let definition = definition::take(content)?;
        let here = self.place_of(&definition);
        if let Some((at, _)) = &here
            && let Some(state) = self.states.get_mut(*at)
        {
            state.remote = Some(definition.id);
        }
        let known = Known { id: definition.id, here };
        let at = self.known.iter().position(|other| other.id == definition.id);
        self.reading = match at {
            Some(at) => {
                *self.known.get_mut(at)? = known;
                Some(at)
            }
            None if self.known.len() >= MOST_TABLES => return None,
            None => {
                self.known.push(known);
                Some(self.known.len() - 1)
            }
        };
        Some(())
    }

    /// The table here that a table of the other side is, and how values of it come.
    fn place_of(&self, definition: &Definition) -> Option<(usize, Vec<Field>)> {
        let at = self.tables.iter().position(|shared| *shared.wire == *definition.name)?;
        let spec = self.tables.get(at)?.table.spec();
        let is_alike = definition::of_kind(spec.kind) == (definition.kind, definition.key_len);
        if !is_alike || definition.is_vague {
            return None;
        }
        let field = |(data, count): &(_, usize)| {
            let here = spec.store.iter().find(|stored| stored.data == *data);
            let kept = here.map_or(0, |stored| usize::from(stored.count).min(*count));
            Field { data: *data, count: *count, kept }
        };
        Some((at, definition.fields.iter().map(field).collect()))
    }

    /// The other side has an entry, and all before it.
    fn acknowledged(&mut self, content: &[u8]) -> Option<()> {
        let mut content = Fields::new(content);
        let (id, number) = (content.integer()?, content.word()?);
        let at = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let Some(state) = at.and_then(|at| self.states.get_mut(at)) else { return Some(()) };
        // A number that was not sent is a fault of HAProxy 3.4, and means nothing.
        let (ahead, most) = (number.wrapping_sub(state.acked), state.sent.wrapping_sub(state.acked));
        if ahead == 0 || ahead > most {
            return Some(());
        }
        state.acked = number;
        let has_come = |until: u32| number.wrapping_sub(until) <= most;
        if let Some((_, cursor)) = state.pending.take_if(|(until, _)| has_come(*until)) {
            state.known.join(&cursor);
            self.has_news = true;
        }
        Some(())
    }

    /// An entry of the other side.
    fn update(&mut self, kind: u8, content: &[u8], now_ms: u64) -> Option<()> {
        let Some((at, fields)) = self.reading.and_then(|at| self.known.get(at)?.here.as_ref()) else {
            return Some(());
        };
        let (Some(shared), Some(state)) = (self.tables.get(*at), self.states.get_mut(*at)) else {
            return Some(());
        };
        if content.is_empty() {
            return Some(());
        }
        let mut content = Fields::new(content);
        let number = match kind {
            kinds::UPDATE | kinds::TIMED_UPDATE => content.word()?,
            _ => state.came.wrapping_add(1),
        };
        let remaining_ms = match kind {
            kinds::TIMED_UPDATE | kinds::TIMED_INCREMENTAL => Some(content.word()?),
            _ => None,
        };
        let key: Key = update::take_key(&mut content, shared.table.kind())?;
        update::take_values(&mut content, fields, &mut self.received, &mut self.values)?;
        let version = match content.rest().last_chunk::<VERSION>() {
            Some(version) if self.is_ours => Some(u64::from_be_bytes(*version)),
            _ => None,
        };
        state.came = number;
        state.is_ack_due = true;
        self.tally.updates_received += 1;
        let how = Learning { remaining_ms, version };
        let values = &self.values;
        let _: Learned = shared.table.learn(&key, now_ms, how, |entry| update::apply(entry, values));
        Some(())
    }

    /// Makes what is to be sent, up to about so many octets. `is_whole`: this process was taught all, or knows of nothing
    /// more.
    pub fn fill(&mut self, now_ms: u64, most: usize, is_whole: bool) {
        self.put_acks();
        if std::mem::take(&mut self.is_confirm_due) {
            self.out.extend([message::CONTROL, control::RESYNC_CONFIRM]);
        }
        if std::mem::take(&mut self.is_request_due) {
            self.out.extend([message::CONTROL, control::RESYNC_REQUEST]);
        }
        if let Some(lesson) = self.lesson.take() {
            self.lesson = self.teach(lesson, now_ms, most);
            if self.lesson.is_some() {
                return;
            }
            let end = if is_whole { control::RESYNC_FINISHED } else { control::RESYNC_PARTIAL };
            self.out.extend([message::CONTROL, end]);
        }
        if self.has_news && !self.is_mute {
            self.put_changes(now_ms, most);
        }
    }

    fn put_acks(&mut self) {
        let mut content = Vec::new();
        for state in self.states.iter_mut().filter(|state| state.is_ack_due) {
            state.is_ack_due = false;
            content.clear();
            varint::put(&mut content, state.remote.unwrap_or(0));
            content.extend(state.came.to_be_bytes());
            message::put(&mut self.out, kinds::ACK, &content);
        }
    }

    /// Tells all entries, as far as there is room; what is left.
    fn teach(&mut self, lesson: Lesson, now_ms: u64, most: usize) -> Option<Lesson> {
        let mut lesson = lesson;
        let tables = self.tables.clone();
        while let Some(shared) = tables.get(lesson.table) {
            // An empty table is told of, too.
            self.put_definition(lesson.table);
            let (state, mut pen) = self.pen(lesson.table)?;
            let mut cursor = std::mem::take(&mut state.cursor);
            let is_done = shared.table.teach(&mut lesson.walk, &mut cursor, now_ms, |entry| {
                pen.put(&shared.table, entry, &mut state.sent);
                pen.out.len() < most
            });
            state.cursor = cursor;
            if !is_done {
                return Some(lesson);
            }
            state.reached();
            lesson = Lesson { table: lesson.table + 1, walk: Walk::default() };
        }
        None
    }

    /// Tells what was changed here, as far as there is room.
    fn put_changes(&mut self, now_ms: u64, most: usize) {
        let tables = self.tables.clone();
        while let Some(shared) = tables.get(self.turn) {
            let at = self.turn;
            let (before, defined_before) = (self.out.len(), self.writing);
            if self.writing != Some(at) {
                self.put_definition(at);
            }
            let defined = self.out.len();
            let Some((state, mut pen)) = self.pen(at) else { return };
            let mut cursor = std::mem::take(&mut state.cursor);
            let is_done = shared.table.changes(&mut cursor, now_ms, |entry| {
                pen.put(&shared.table, entry, &mut state.sent);
                pen.out.len() < most
            });
            state.cursor = cursor;
            if is_done && state.pending.is_none() {
                state.reached();
            }
            if self.out.len() == defined {
                // Nothing of it: then it needs no definition.
                if defined > before {
                    self.out.truncate(before);
                    self.writing = defined_before;
                }
            }
            if !is_done {
                return;
            }
            self.turn += 1;
        }
        self.turn = 0;
        self.has_news = false;
    }

    fn put_definition(&mut self, at: usize) {
        let Some(Shared { wire, table }) = self.tables.get(at) else { return };
        let mut content = Vec::new();
        definition::put(&mut content, at as u64 + 1, wire, table.spec(), table.expire_ms());
        message::put(&mut self.out, kinds::DEFINE, &content);
        self.writing = Some(at);
    }

    /// The state of a table, and what writes its entries.
    fn pen(&mut self, at: usize) -> Option<(&mut State, Pen<'_>)> {
        let pen = Pen {
            out: &mut self.out,
            texts: &mut self.sent,
            tally: &mut self.tally,
            is_timed: self.is_timed,
            is_ours: self.is_ours,
        };
        Some((self.states.get_mut(at)?, pen))
    }
}

/// What writes entries.
struct Pen<'s> {
    out: &'s mut Vec<u8>,
    texts: &'s mut Sent,
    tally: &'s mut Tally,
    is_timed: bool,
    is_ours: bool,
}

impl Pen<'_> {
    /// Appends an entry with the next number.
    fn put(&mut self, table: &Table, entry: &crate::stick::Entry<'_>, number: &mut u32) {
        // Who tracks an entry keeps it alive, whatever its time says.
        let is_timed = self.is_timed && table.expire_ms() > 0 && entry.refs() == 0;
        let start = self.out.len();
        self.out.extend([message::TABLE, if is_timed { kinds::TIMED_UPDATE } else { kinds::UPDATE }, 0]);
        let content = self.out.len();
        self.out.extend(number.wrapping_add(1).to_be_bytes());
        if is_timed {
            self.out.extend(entry.remaining_ms().to_be_bytes());
        }
        update::put(self.out, entry, table.spec(), self.texts);
        if self.is_ours {
            self.out.extend(entry.version().to_be_bytes());
        }
        let len = self.out.len() - content;
        if len > message::MOST {
            // No message holds it.
            return self.out.truncate(start);
        }
        *number = number.wrapping_add(1);
        self.tally.updates_sent += 1;
        if len < 240 {
            if let Some(place) = self.out.get_mut(content - 1) {
                *place = len as u8;
            }
            return;
        }
        let mut prefix = Vec::new();
        varint::put(&mut prefix, len as u64);
        self.out.splice(content - 1..content, prefix);
    }
}

/// What somebody has of tables for sure, from one session to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    list: Vec<(Arc<Table>, Cursor)>,
}

impl Memory {
    fn of(&self, table: &Arc<Table>) -> Option<Cursor> {
        let found = self.list.iter().find(|(other, _)| Arc::ptr_eq(other, table));
        found.map(|(_, cursor)| cursor.clone())
    }

    /// Knows what either of them knows of the tables of the newer.
    pub fn join(&mut self, newer: Memory) {
        let older = std::mem::replace(self, newer);
        for (table, cursor) in &mut self.list {
            if let Some(before) = older.of(table) {
                cursor.join(&before);
            }
        }
    }
}
