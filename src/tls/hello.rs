//! The first message of a client (RFC 8446 section 4.1.2), read from the bytes of its connection before any certificate is
//! chosen. Names are taken as HAProxy takes them: bytes, which need not be a host's name.

use std::ops::Range;

/// What a connection has said so far.
#[derive(Debug)]
pub enum Parsed {
    /// The message goes on.
    NeedMore,
    Hello(Hello),
    /// It cannot be answered but by this alert.
    Alert(u8),
    /// Another protocol is spoken.
    NotTls {
        is_http: bool,
    },
}

pub const HANDSHAKE_FAILURE: u8 = 40;
pub const ILLEGAL_PARAMETER: u8 = 47;
pub const DECODE_ERROR: u8 = 50;
pub const PROTOCOL_VERSION: u8 = 70;
pub const INTERNAL_ERROR: u8 = 80;
pub const UNRECOGNIZED_NAME: u8 = 112;

/// As much as rustls takes of one message.
const MESSAGE_BYTES: usize = 0xffff;
const RECORD_BYTES: usize = 16 << 10;
const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RANDOM_BYTES: usize = 32;
const NAME_BYTES: usize = 255;
const METHODS: [&[u8]; 10] =
    [b"GET ", b"POST", b"HEAD", b"PUT ", b"CONN", b"OPTI", b"DELE", b"PATC", b"TRAC", b"PRI "];

const SERVER_NAME: u16 = 0;
const GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURES: u16 = 13;
const ALPN: u16 = 16;
const EARLY_DATA: u16 = 42;
const VERSIONS: u16 = 43;

/// Padding, a ticket, sessions and shares of keys.
const LARGE: [u16; 4] = [21, 35, 41, 51];

/// The numbers of the two versions that are spoken.
pub const TLS12: u16 = 0x0303;
pub const TLS13: u16 = 0x0304;

/// A message that is whole, and where its parts are in it.
#[derive(Clone, Debug)]
pub struct Hello {
    message: Vec<u8>,
    session_id: Range<usize>,
    suites: Range<usize>,
    extensions: Box<[Extension]>,
    name: Option<Range<usize>>,
}

/// Where an extension's content is.
#[derive(Clone, Copy, Debug)]
struct Extension {
    id: u16,
    length: u16,
    start: u32,
}

impl Extension {
    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + usize::from(self.length)
    }
}

/// The record of a fatal alert, for as long as there are no keys.
pub fn alert_record(alert: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, alert]
}

/// Reads what a connection began with; `bytes` are all of it.
pub fn parse(bytes: &[u8]) -> Parsed {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        match rest {
            [] => return Parsed::NeedMore,
            [HANDSHAKE, 3, ..] | [HANDSHAKE] => {}
            // An alert or data where a message was begun.
            _ if !message.is_empty() => return Parsed::Alert(10),
            _ => return other(rest),
        }
        let Some((header, after)) = rest.split_at_checked(RECORD_HEADER) else { return Parsed::NeedMore };
        let length = usize::from(number(header.get(3..)));
        if length == 0 || length > RECORD_BYTES {
            return if length == 0 { Parsed::Alert(10) } else { Parsed::Alert(22) };
        }
        message.extend_from_slice(after.get(..length).unwrap_or(after));
        match whole(&message) {
            Whole::No => {}
            Whole::Yes(end) => {
                message.truncate(end);
                return read(message).map_or_else(Parsed::Alert, Parsed::Hello);
            }
            Whole::Never(alert) => return Parsed::Alert(alert),
        }
        let Some(next) = after.get(length..) else { return Parsed::NeedMore };
        rest = next;
    }
}

/// What was said instead of a record of a handshake.
fn other(bytes: &[u8]) -> Parsed {
    let is = |method: &&&[u8]| bytes.starts_with(method);
    let may = |method: &&[u8]| bytes.len() < method.len() && method.starts_with(bytes);
    match METHODS.iter().find(is) {
        Some(_) => Parsed::NotTls { is_http: true },
        None if METHODS.iter().any(may) => Parsed::NeedMore,
        None => Parsed::NotTls { is_http: false },
    }
}

enum Whole {
    No,
    Yes(usize),
    Never(u8),
}

fn whole(message: &[u8]) -> Whole {
    match message {
        [CLIENT_HELLO, high, middle, low, ..] => {
            let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
            match MESSAGE_HEADER + length {
                _ if length > MESSAGE_BYTES => Whole::Never(ILLEGAL_PARAMETER),
                end if end <= message.len() => Whole::Yes(end),
                _ => Whole::No,
            }
        }
        [CLIENT_HELLO, ..] | [] => Whole::No,
        // Unexpected message.
        _ => Whole::Never(10),
    }
}

/// The first two bytes as a number; 0 where there are none.
fn number(bytes: Option<&[u8]>) -> u16 {
    match bytes {
        Some([high, low, ..]) => u16::from_be_bytes([*high, *low]),
        _ => 0,
    }
}

/// A place in the message that moves on.
struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
}

impl Cursor<'_> {
    fn take(&mut self, length: usize) -> Result<Range<usize>, u8> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end).ok_or(DECODE_ERROR)?;
        let taken = self.at..end;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, u8> {
        let at = self.take(1)?.start;
        self.message.get(at).copied().ok_or(DECODE_ERROR)
    }

    fn number(&mut self) -> Result<u16, u8> {
        Ok(number(self.message.get(self.take(2)?)))
    }

    /// What a length of two bytes stands before.
    fn vector(&mut self) -> Result<Range<usize>, u8> {
        let length = self.number()?;
        self.take(length.into())
    }

    fn is_over(&self) -> bool {
        self.at >= self.end
    }
}

fn read(message: Vec<u8>) -> Result<Hello, u8> {
    let mut cursor = Cursor { message: &message, at: MESSAGE_HEADER, end: message.len() };
    cursor.take(2 + RANDOM_BYTES)?;
    let length = cursor.byte()?;
    let session_id = cursor.take(length.into())?;
    let suites = cursor.vector()?;
    if suites.len() < 2 || suites.len() % 2 != 0 || session_id.len() > 32 {
        return Err(DECODE_ERROR);
    }
    let methods = cursor.byte()?;
    cursor.take(methods.into())?;
    let mut extensions = Vec::new();
    if !cursor.is_over() {
        let all = cursor.vector()?;
        if !cursor.is_over() {
            return Err(DECODE_ERROR);
        }
        let mut cursor = Cursor { message: &message, at: all.start, end: all.end };
        while !cursor.is_over() {
            let id = cursor.number()?;
            let Range { start, end } = cursor.vector()?;
            let length = u16::try_from(end - start).map_err(|_| DECODE_ERROR)?;
            extensions.push(Extension { id, length, start: u32::try_from(start).map_err(|_| DECODE_ERROR)? });
        }
    }
    let of_name = extensions.iter().find(|extension| extension.id == SERVER_NAME);
    let name = of_name.map(|extension| name(&message, extension.range())).transpose()?;
    Ok(Hello { session_id, suites, extensions: extensions.into(), name, message })
}

/// The one name of the extension (RFC 6066 section 3).
fn name(message: &[u8], range: Range<usize>) -> Result<Range<usize>, u8> {
    let bad = |_| UNRECOGNIZED_NAME;
    let mut cursor = Cursor { message, at: range.start, end: range.end };
    let list = cursor.vector().map_err(bad)?;
    let is_alone = cursor.is_over();
    let mut cursor = Cursor { message, at: list.start, end: list.end };
    let kind = cursor.byte().map_err(bad)?;
    let name = cursor.vector().map_err(bad)?;
    if !cursor.is_over() {
        return Err(DECODE_ERROR);
    }
    let is_fit = (1..=NAME_BYTES).contains(&name.len())
        && message.get(name.clone()).is_some_and(|bytes| !bytes.contains(&0));
    if kind == 0 && is_alone && is_fit { Ok(name) } else { Err(UNRECOGNIZED_NAME) }
}

impl Hello {
    /// How many bytes it takes in memory.
    pub fn size(&self) -> usize {
        size_of::<Hello>() + self.message.capacity() + size_of_val(&*self.extensions)
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.message.get(range).unwrap_or_default()
    }

    fn extension(&self, id: u16) -> Option<&[u8]> {
        let found = self.extensions.iter().find(|extension| extension.id == id)?;
        Some(self.bytes(found.range()))
    }

    /// The list of numbers in an extension, as it was sent.
    fn list(&self, id: u16) -> &[u8] {
        let Some([high, low, rest @ ..]) = self.extension(id) else { return &[] };
        rest.get(..u16::from_be_bytes([*high, *low]).into()).unwrap_or_default()
    }

    /// The same for those who keep it: without the content of what is large and nobody asks for (keys, tickets, padding).
    pub fn compact(self) -> Hello {
        let head = self.extensions.first().map_or(self.message.len(), |first| first.start as usize - 6);
        let mut message = self.bytes(0..head).to_vec();
        let mut body = Vec::new();
        for extension in &self.extensions {
            let content = if LARGE.contains(&extension.id) { &[] } else { self.bytes(extension.range()) };
            body.extend(extension.id.to_be_bytes());
            // A part of what was no longer than that.
            body.extend(u16::try_from(content.len()).unwrap_or_default().to_be_bytes());
            body.extend(content);
        }
        message.extend(u16::try_from(body.len()).unwrap_or_default().to_be_bytes());
        message.append(&mut body);
        message.shrink_to_fit();
        read(message).unwrap_or(self)
    }

    /// The name that is asked for, as it was sent.
    pub fn name(&self) -> Option<&[u8]> {
        self.name.clone().map(|range| self.bytes(range))
    }

    /// The version in the message itself, which newer clients leave at 1.2.
    pub fn legacy_version(&self) -> u16 {
        number(self.message.get(MESSAGE_HEADER..))
    }

    pub fn random(&self) -> &[u8] {
        self.bytes(MESSAGE_HEADER + 2..MESSAGE_HEADER + 2 + RANDOM_BYTES)
    }

    pub fn session_id(&self) -> &[u8] {
        self.bytes(self.session_id.clone())
    }

    /// The cipher suites as they were sent: numbers of two bytes.
    pub fn suite_bytes(&self) -> &[u8] {
        self.bytes(self.suites.clone())
    }

    pub fn suites(&self) -> impl Iterator<Item = u16> {
        numbers(self.suite_bytes())
    }

    /// The numbers of the extensions in their order.
    pub fn extension_ids(&self) -> impl Iterator<Item = u16> {
        self.extensions.iter().map(|extension| extension.id)
    }

    /// The groups as they were sent: numbers of two bytes.
    pub fn group_bytes(&self) -> &[u8] {
        self.list(GROUPS)
    }

    /// The formats of points as they were sent.
    pub fn point_format_bytes(&self) -> &[u8] {
        self.extension(POINT_FORMATS).and_then(|list| list.get(1..)).unwrap_or_default()
    }

    /// The signature algorithms as they were sent: numbers of two bytes.
    pub fn signature_bytes(&self) -> &[u8] {
        self.list(SIGNATURES)
    }

    pub fn signatures(&self) -> impl Iterator<Item = u16> {
        numbers(self.signature_bytes())
    }

    /// The versions as they were sent: numbers of two bytes, none from a client that knows no more than 1.2.
    pub fn version_bytes(&self) -> &[u8] {
        self.extension(VERSIONS).and_then(|list| list.get(1..)).unwrap_or_default()
    }

    pub fn versions(&self) -> impl Iterator<Item = u16> {
        numbers(self.version_bytes())
    }

    /// Whether a version is spoken.
    pub fn speaks(&self, version: u16) -> bool {
        match self.version_bytes() {
            [] => version <= TLS12 && self.legacy_version() >= version,
            _ => self.versions().any(|spoken| spoken == version),
        }
    }

    /// The protocols that are offered (RFC 7301).
    pub fn protocols(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.list(ALPN);
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (protocol, next) = after.split_at_checked((*length).into())?;
            rest = next;
            Some(protocol)
        })
    }

    /// Whether data follow before the handshake is done.
    pub fn has_early_data(&self) -> bool {
        self.extension(EARLY_DATA).is_some()
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|pair| number(Some(pair)))
}
