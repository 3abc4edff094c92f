//! `Message`: a head as it came over a wire, and what follows it.

/// A request or a response, as far as it can be told from bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The PROXY header before it, if any.
    pub preface: Vec<u8>,
    /// Request line or status line.
    pub line: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// How long the PROXY header at the beginning is.
fn preface_len(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"PROXY ") {
        return bytes.windows(2).position(|pair| pair == b"\r\n").map_or(0, |at| at + 2);
    }
    match bytes.get(14..16) {
        Some(len) if bytes.starts_with(PROXY_V2) => {
            (16 + usize::from(len[0]) * 256 + usize::from(len[1])).min(bytes.len())
        }
        _ => 0,
    }
}

impl Message {
    /// `None`: it is no HTTP/1 message, or its head is not whole.
    pub fn of(bytes: &[u8]) -> Option<Message> {
        let (preface, rest) = bytes.split_at(preface_len(bytes));
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let line = lines.next().filter(|line| line.contains("HTTP/1."))?.to_owned();
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        };
        let fields = lines.map(field).collect();
        Some(Message { preface: preface.to_vec(), line, fields, body: rest[end + 4..].to_vec() })
    }

    /// The last response: interim ones come before it.
    pub fn answer(bytes: &[u8]) -> Option<Message> {
        let mut message = Message::of(bytes)?;
        while message.status().is_some_and(|status| (100..200).contains(&status) && status != 101) {
            message = Message::of(&message.body)?;
        }
        Some(message)
    }

    /// Of a response.
    pub fn status(&self) -> Option<u16> {
        self.line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
    }

    /// The values of the fields with this name.
    pub fn values<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        let named = self.fields.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// Head and body in lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.preface.is_empty() {
            lines.push(match self.preface.starts_with(b"PROXY ") {
                true => String::from_utf8_lossy(&self.preface).trim_end().to_owned(),
                false => format!("(a binary PROXY header of {} bytes)", self.preface.len()),
            });
        }
        lines.push(self.line.clone());
        lines.extend(self.fields.iter().map(|(name, value)| format!("{name}: {value}")));
        if !self.body.is_empty() {
            lines.push(String::new());
            lines.extend(String::from_utf8_lossy(&self.body).lines().map(str::to_owned));
        }
        lines
    }
}
