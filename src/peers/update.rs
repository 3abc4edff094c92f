//! One entry as it is told: its key, then its values in the order of the data types.

use std::sync::Arc;

use crate::stick::{Data, Entry, Key, KeyKind, Shape, Spec};

use super::dictionary::{Received, Sent};
use super::varint::{self, Fields};

/// One value that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    /// Milliseconds since the period began, events since, events before.
    Rate([u32; 3]),
    Text(Option<Arc<str>>),
}

/// Where a value goes.
pub type Placed = (Data, usize, Value);

/// Values of a data type as they come: how many there are, and how many of these are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub data: Data,
    pub count: usize,
    pub kept: usize,
}

/// Appends the key and the values of an entry.
pub fn put(out: &mut Vec<u8>, entry: &Entry<'_>, spec: &Spec, texts: &mut Sent) {
    put_key(out, &entry.key(), spec.kind);
    for stored in &spec.store {
        for index in 0..usize::from(stored.count) {
            match stored.data.shape() {
                Shape::Rate => {
                    let rate = entry.rate(stored.data, index).unwrap_or_default();
                    rate.iter().for_each(|part| varint::put(out, u64::from(*part)));
                }
                Shape::Name => texts.put(out, entry.server_key().as_ref()),
                Shape::Signed | Shape::Count | Shape::Long => {
                    let value = entry.value(stored.data, index).unwrap_or_default();
                    varint::put(out, value.cast_unsigned());
                }
            }
        }
    }
}

fn put_key(out: &mut Vec<u8>, key: &Key, kind: KeyKind) {
    match kind {
        KeyKind::Ip | KeyKind::Integer => out.extend(key.number().to_be_bytes()),
        KeyKind::Ipv6 => out.extend(key.ipv6_addr().octets()),
        KeyKind::Binary(_) => out.extend(key.to_bytes(kind)),
        KeyKind::Str(_) => {
            let text = key.to_bytes(kind);
            varint::put(out, text.len() as u64);
            out.extend(text);
        }
    }
}

/// Reads a key of a table.
pub fn take_key(fields: &mut Fields<'_>, kind: KeyKind) -> Option<Key> {
    match kind {
        KeyKind::Ip => fields.word().map(|ip| Key::ip(ip.into())),
        KeyKind::Integer => fields.word().map(Key::integer),
        KeyKind::Ipv6 => {
            let octets: [u8; 16] = fields.bytes(16)?.try_into().ok()?;
            Some(Key::ipv6(octets.into()))
        }
        KeyKind::Binary(len) => kind.bytes(fields.bytes(len)?),
        KeyKind::Str(_) => {
            let text = fields.counted()?;
            kind.bytes(text.split(|byte| *byte == 0).next().unwrap_or_default())
        }
    }
}

/// Reads the values of an entry; those that are not kept here are read and dropped. `None`: some are missing.
pub fn take_values(
    fields: &mut Fields<'_>,
    what: &[Field],
    texts: &mut Received,
    values: &mut Vec<Placed>,
) -> Option<()> {
    values.clear();
    for Field { data, count, kept } in what {
        for index in 0..*count {
            let value = match data.shape() {
                Shape::Rate => {
                    let mut rate = [0; 3];
                    for part in &mut rate {
                        *part = fields.integer()? as u32;
                    }
                    Value::Rate(rate)
                }
                Shape::Name => Value::Text(texts.take(fields)?),
                Shape::Signed | Shape::Count | Shape::Long => Value::Number(fields.integer()?),
            };
            // Connections that another process has now are no affair of this one.
            if index < *kept && *data != Data::ConnCur {
                values.push((*data, index, value));
            }
        }
    }
    Some(())
}

/// Puts values into an entry.
pub fn apply(entry: &mut Entry<'_>, values: &[Placed]) {
    for (data, index, value) in values {
        match value {
            Value::Number(number) => entry.set(*data, *index, *number),
            Value::Rate(rate) => entry.set_rate(*data, *index, *rate),
            Value::Text(Some(text)) => entry.set_server_key(text),
            Value::Text(None) => entry.set(*data, *index, 0),
        }
    }
}
