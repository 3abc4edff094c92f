//! What rules do to a head: fields, target, method, status. New bytes go to the edit arena, and none of them can end
//! a line or a target early, whatever a rule computed them from.

use super::head::{EDIT, Field, FieldKind, Head, Method, Slot};
use super::token;

/// A field that is added to many heads, made once: its name as it is written, and its value where that is known.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// `name: `, or the whole line.
    bytes: Box<[u8]>,
    name_len: u32,
    kind: FieldKind,
}

impl Prepared {
    /// A name whose value comes later.
    pub fn name(name: &[u8]) -> Prepared {
        Prepared {
            bytes: [name, b": "].concat().into(),
            name_len: name.len() as u32,
            kind: FieldKind::of(name),
        }
    }

    /// A field with its value. CR, LF and NUL in it become spaces.
    pub fn line(name: &[u8], value: &[u8]) -> Prepared {
        let mut bytes = [name, b": ", value, b"\r\n"].concat();
        let value_at = name.len() + 2;
        blank_out(&mut bytes[value_at..value_at + value.len()]);
        Prepared { bytes: bytes.into(), ..Prepared::name(name) }
    }
}

impl Head {
    /// Appends a prepared line behind the last one.
    pub fn add_line(&mut self, line: &Prepared) {
        let at = self.edits.len() as u32 | EDIT;
        self.edits.extend_from_slice(&line.bytes);
        let len = line.bytes.len() as u32;
        let name = Slot { at, len: line.name_len };
        let value = Slot { at: at + line.name_len + 2, len: len - line.name_len - 4 };
        if line.kind != FieldKind::Other {
            let value_at = line.name_len as usize + 2;
            self.note_edit(line.kind, &line.bytes[value_at..line.bytes.len() - 2]);
        }
        self.fields.push(Field { name, value, line: Slot { at, len }, kind: line.kind });
    }

    /// Appends a field of a prepared name.
    pub fn add_named(&mut self, name: &Prepared, value: &[u8]) {
        let at = self.edits.len();
        self.edits.reserve(name.bytes.len() + value.len() + 2);
        self.edits.extend_from_slice(&name.bytes);
        let field = self.finish_value(at, name.name_len as usize, name.kind, value);
        if name.kind != FieldKind::Other {
            self.note_edit(name.kind, value);
        }
        self.fields.push(field);
    }

    /// Appends a field behind the last one. CR, LF and NUL in the value become spaces (RFC 9110 section 5.5).
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let field = self.store_line(name, value);
        self.note_edit(field.kind, value);
        self.fields.push(field);
    }

    /// Gives the field at this place of `fields` another value.
    pub fn set_value(&mut self, index: usize, value: &[u8]) {
        let Some(old) = self.fields.get(index).copied() else { return };
        let at = self.edits.len();
        if old.name.is_raw() {
            self.edits.extend_from_slice(
                self.buf.written().get(old.name.start()..old.name.end()).unwrap_or_default(),
            );
        } else {
            self.edits.extend_from_within(old.name.start()..old.name.end());
        }
        let field = self.finish_line(at, old.kind, value);
        self.note_edit(old.kind, value);
        self.fields[index] = field;
    }

    pub(super) fn store_line(&mut self, name: &[u8], value: &[u8]) -> Field {
        let at = self.edits.len();
        self.edits.reserve(name.len() + value.len() + 4);
        self.edits.extend_from_slice(name);
        self.finish_line(at, FieldKind::of(name), value)
    }

    /// Completes the line whose name begins at `at` and ends the edit arena.
    fn finish_line(&mut self, at: usize, kind: FieldKind, value: &[u8]) -> Field {
        let name_len = self.edits.len() - at;
        self.edits.extend_from_slice(b": ");
        self.finish_value(at, name_len, kind, value)
    }

    /// Completes the line whose name and colon begin at `at` and end the edit arena.
    fn finish_value(&mut self, at: usize, name_len: usize, kind: FieldKind, value: &[u8]) -> Field {
        let slot = |from: usize, to: usize| Slot { at: from as u32 | EDIT, len: (to - from) as u32 };
        let value_at = self.edits.len();
        self.edits.extend_from_slice(value);
        let value_end = self.edits.len();
        blank_out(&mut self.edits[value_at..]);
        self.edits.extend_from_slice(b"\r\n");
        Field {
            name: slot(at, at + name_len),
            value: slot(value_at, value_end),
            line: slot(at, self.edits.len()),
            kind,
        }
    }

    /// Removes every field with this name; tells how many there were.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        let Some(first) = self.fields.iter().position(|f| self.is_named(f, name)) else { return 0 };
        let mut kept = first;
        for at in first + 1..self.fields.len() {
            let field = self.fields[at];
            if !self.is_named(&field, name) {
                self.fields[kept] = field;
                kept += 1;
            }
        }
        let removed = self.fields.len() - kept;
        self.fields.truncate(kept);
        self.note_removal(FieldKind::of(name));
        removed
    }

    /// Removes the field at this place of `fields`.
    pub fn remove_at(&mut self, index: usize) {
        if index < self.fields.len() {
            let kind = self.fields.remove(index).kind;
            if kind != FieldKind::Other && !self.fields.iter().any(|f| f.kind == kind) {
                self.note_removal(kind);
            }
        }
    }

    /// Removes every field with this name and appends one with the new value (`set-header`).
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// Replaces the target. Bytes that would end it on the wire (controls, space) are percent-encoded.
    pub fn set_target(&mut self, target: &[u8]) {
        let at = self.edits.len();
        for byte in target {
            match byte {
                0..=b' ' | 0x7f => {
                    let digit = |n: u8| b"0123456789ABCDEF"[usize::from(n)];
                    self.edits.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
                }
                _ => self.edits.push(*byte),
            }
        }
        self.target = Slot { at: at as u32 | EDIT, len: (self.edits.len() - at) as u32 };
        self.start_line = Slot::default();
    }

    /// A message of HTTP/1.0 with chunks goes on as one of HTTP/1.1; its connection ends with it.
    pub fn modernise(&mut self) {
        self.start_line = Slot::default();
        self.keep_alive = false;
    }

    /// Replaces the method; bytes that are not allowed in a token are left out.
    pub fn set_method(&mut self, method: &[u8]) {
        let at = self.edits.len();
        self.edits.extend(method.iter().filter(|b| token::TOKEN[usize::from(**b)]));
        self.method_slot = Slot { at: at as u32 | EDIT, len: (self.edits.len() - at) as u32 };
        self.method = Method::of(&self.edits[at..]);
        self.start_line = Slot::default();
    }

    pub fn set_status(&mut self, status: u16, reason: &[u8]) {
        let at = self.edits.len();
        self.status = status;
        self.reason = self.store(reason);
        blank_out(&mut self.edits[at..]);
        self.start_line = Slot::default();
    }
}

/// Turns the bytes that would end a line, and NUL, into spaces.
fn blank_out(bytes: &mut [u8]) {
    let mut at = token::value_end(bytes, 0);
    while at < bytes.len() {
        if matches!(bytes[at], b'\r' | b'\n' | 0) {
            bytes[at] = b' ';
        }
        at = token::value_end(bytes, at + 1);
    }
}
