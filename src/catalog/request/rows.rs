//! Large answers: lists of rows that are written from the map while the client takes them.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::catalog::request::answer::{Answer, JSON};
use crate::catalog::request::budget::{Budget, Share, no_room};
use crate::catalog::request::fault::Fault;
use crate::region::map::Map;

/// A piece is full with so many bytes; it ends with the row that made it so.
const PIECE: usize = 64 << 10;
/// Pieces that are in memory for one client: what is being made, what is being taken, and what waits to be sent.
const AT_ONCE: usize = 3;

type Write = Box<dyn FnMut(&mut Vec<u8>) -> Option<serde_json::Result<()>> + Send>;

/// What is left of a list: pieces of JSON, made when they are asked for. Rows that wait are references to the map as it
/// was, which shares nearly all of it with the map as it is.
pub struct Rows {
    write: Write,
    /// The beginning that is made already.
    first: Bytes,
    over: bool,
    /// What the references take, in bytes.
    weight: usize,
    share: Share,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Rows").field("over", &self.over).field("weight", &self.weight).finish()
    }
}

impl Rows {
    /// Counts what the references take, and the pieces, until it is dropped.
    pub fn hold(&mut self, budget: &Budget) -> Result<(), Fault> {
        match budget.grow(&mut self.share, self.weight + AT_ONCE * PIECE) {
            true => Ok(()),
            false => Err(no_room("Too many large answers are being read")),
        }
    }
}

impl Iterator for Rows {
    type Item = serde_json::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.first.is_empty() {
            return Some(Ok(std::mem::take(&mut self.first)));
        }
        if self.over {
            return None;
        }
        let mut piece = Vec::with_capacity(PIECE + PIECE / 4);
        let written = fill(&mut self.write, &mut piece, false);
        self.over = !matches!(written, Ok(true));
        Some(written.map(|_| piece.into()))
    }
}

/// Writes rows until the piece is full (true) or the list is closed.
fn fill(write: &mut Write, piece: &mut Vec<u8>, mut is_first: bool) -> serde_json::Result<bool> {
    while piece.len() < PIECE {
        let before = piece.len();
        if !std::mem::take(&mut is_first) {
            piece.push(b',');
        }
        match write(piece) {
            Some(written) => written?,
            None => {
                piece.truncate(before);
                piece.push(b']');
                return Ok(false);
            }
        }
    }
    Ok(true)
}

impl Answer {
    /// A list, a row for each reference; whole when it is short. `row` makes of a reference what is shown of it.
    pub fn rows<R, F>(map: &Arc<Map>, rows: Vec<R>, row: F) -> Result<Answer, Fault>
    where
        R: Send + 'static,
        F: Fn(&Map, &R, &mut Vec<u8>) -> serde_json::Result<()> + Send + 'static,
    {
        let weight = rows.capacity() * size_of::<R>();
        let (map, mut rows) = (map.clone(), rows.into_iter());
        let mut write: Write = Box::new(move |out| rows.next().map(|reference| row(&map, &reference, out)));
        let mut piece = vec![b'['];
        let more = fill(&mut write, &mut piece, true).map_err(|e| Fault::internal(e.to_string()))?;
        if !more {
            return Ok(Answer::raw(JSON, piece));
        }
        let rows = Rows { write, first: piece.into(), over: false, weight, share: Share::default() };
        Ok(Answer { rows: Some(rows), ..Answer::raw(JSON, Bytes::new()) })
    }
}

/// A row as it is shown.
pub fn show(out: &mut Vec<u8>, row: &impl Serialize) -> serde_json::Result<()> {
    serde_json::to_writer(out, row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(count: usize, bytes: usize) -> Answer {
        let rows: Vec<String> = (0..count).map(|n| format!("{n}{}", "v".repeat(bytes))).collect();
        Answer::rows(&Arc::default(), rows, |_, row, out| show(out, row)).expect("an answer")
    }

    #[test]
    fn short_lists_are_whole_and_long_ones_come_in_pieces() {
        for (count, expected) in [(0, "[]"), (1, r#"["0"]"#), (3, r#"["0","1","2"]"#)] {
            let answer = list(count, 0);
            assert!(answer.rows.is_none());
            assert_eq!(answer.body, expected);
        }
        for (count, bytes) in [(2_000, 100), (3, 200_000), (1, 70_000), (2, 65_536)] {
            let mut rows = list(count, bytes).rows.expect("pieces");
            let budget = Budget::new(1 << 20);
            rows.hold(&budget).expect("room");
            let pieces: Vec<Bytes> = rows.by_ref().map(|piece| piece.expect("JSON")).collect();
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE + bytes + 20), "a row more than is full");
            assert!(rows.next().is_none());
            let whole: Vec<String> = serde_json::from_slice(&pieces.concat()).expect("a list");
            assert_eq!(whole.len(), count);
            assert_eq!(whole[count - 1], format!("{}{}", count - 1, "v".repeat(bytes)));
        }
    }

    #[test]
    fn references_count_for_little_and_count() {
        let budget = Budget::new(1 << 20);
        let mut many: Vec<Rows> = (0..20).filter_map(|_| list(2_000, 100).rows).collect();
        let held = many.iter_mut().filter_map(|rows| rows.hold(&budget).ok()).count();
        assert_eq!(held, 4, "48 KB of references and three pieces each");
        drop(many);
        assert!(list(2_000, 100).rows.expect("pieces").hold(&budget).is_ok());
    }
}
