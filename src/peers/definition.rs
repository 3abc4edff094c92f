//! What a table is, as one side tells the other before the first entry of it.

use crate::stick::data::{ALL, TYPES};
use crate::stick::{Data, KeyKind, Shape, Spec};

use super::varint::{self, Fields};

/// What the other side says of a table of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its number there.
    pub id: u64,
    pub name: String,
    pub kind: u64,
    pub key_len: u64,
    /// The data types of its entries, in the order of their values, and how many of each.
    pub fields: Vec<(Data, usize)>,
    /// What its arrays are is not said: such a table cannot be understood.
    pub is_vague: bool,
}

/// The type and the length of keys as they are told.
pub fn of_kind(kind: KeyKind) -> (u64, u64) {
    match kind {
        KeyKind::Integer => (2, 4),
        KeyKind::Ip => (4, 4),
        KeyKind::Ipv6 => (5, 16),
        // With the octet that ends it.
        KeyKind::Str(len) => (6, len as u64 + 1),
        KeyKind::Binary(len) => (7, len as u64),
    }
}

/// The content of a definition.
pub fn put(out: &mut Vec<u8>, id: u64, name: &str, spec: &Spec, expire_ms: u32) {
    let (kind, key_len) = of_kind(spec.kind);
    varint::put(out, id);
    varint::put(out, name.len() as u64);
    out.extend(name.as_bytes());
    varint::put(out, kind);
    varint::put(out, key_len);
    varint::put(out, spec.store.iter().fold(0, |bits, stored| bits | 1 << stored.data as u64));
    varint::put(out, u64::from(expire_ms));
    for stored in &spec.store {
        let is_rate = stored.data.shape() == Shape::Rate;
        if !is_rate && !stored.data.is_array() {
            continue;
        }
        varint::put(out, stored.data as u64);
        if stored.data.is_array() {
            varint::put(out, u64::from(stored.count));
        }
        if is_rate {
            varint::put(out, u64::from(stored.period_ms));
        }
    }
}

/// Reads a definition. `None`: it is none.
pub fn take(content: &[u8]) -> Option<Definition> {
    let mut content = Fields::new(content);
    let id = content.integer()?;
    let name = content.counted().filter(|name| !name.is_empty())?;
    let (kind, key_len, bits) = (content.integer()?, content.integer()?, content.integer()?);
    let mut made = Definition {
        id,
        name: String::from_utf8_lossy(name).into_owned(),
        kind,
        key_len,
        fields: Vec::new(),
        is_vague: false,
    };
    let mut counts = [1; TYPES];
    // How long entries live there is no matter here.
    let more = content.integer();
    while more.is_some() && !content.is_empty() {
        let Some(bit) = content.integer().and_then(|bit| usize::try_from(bit).ok()) else { break };
        let Some((data, _, shape, is_array)) = ALL.get(bit) else { break };
        if *is_array {
            let Some(count) = content.integer() else { break };
            counts[*data as usize] = usize::try_from(count).unwrap_or(usize::MAX);
        }
        if *shape == Shape::Rate && content.integer().is_none() {
            break;
        }
        if *is_array {
            made.fields.push((*data, counts[*data as usize]));
        }
    }
    let told = std::mem::take(&mut made.fields);
    for (data, _, _, is_array) in ALL.iter().filter(|(data, ..)| bits & 1 << *data as u64 != 0) {
        made.is_vague |= *is_array && !told.iter().any(|(other, _)| other == data);
        made.fields.push((*data, counts[*data as usize]));
    }
    Some(made)
}
