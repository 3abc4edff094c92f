//! HTTP/1.1 on a connection: one request after the other.

use crate::reply::{self, NoHead};
use crate::web::Told;

/// One connection's requests and answers.
pub struct Plain {
    request: Vec<u8>,
    pub close: bool,
    size: u64,
    /// When the request under way was due.
    due: Option<u64>,
    /// Bytes of the body that are still to come, once the head is here.
    left: Option<u64>,
    partial: Vec<u8>,
}

impl Plain {
    pub fn new(path: &str, size: u64, close: bool) -> Plain {
        let end = if close { "Connection: close\r\n" } else { "" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: load\r\nAccept: */*\r\n{end}\r\n"
        );
        Plain { request: request.into_bytes(), close, size, due: None, left: None, partial: Vec::new() }
    }

    pub fn is_idle(&self) -> bool {
        self.due.is_none()
    }

    pub fn ask(&mut self, now: u64, out: &mut Vec<u8>) {
        self.due = Some(now);
        out.extend_from_slice(&self.request);
    }

    pub fn take(&mut self, bytes: &[u8], told: &mut Told) {
        let Some(due) = self.due else {
            told.failed = Some("bytes without a request".to_owned());
            return;
        };
        let joined;
        let mut bytes = bytes;
        if self.left.is_none() {
            if !self.partial.is_empty() {
                self.partial.extend_from_slice(bytes);
                joined = std::mem::take(&mut self.partial);
                bytes = &joined;
            }
            match reply::head(bytes) {
                Err(NoHead::Partial) => return self.partial.extend_from_slice(bytes),
                Err(NoHead::Malformed) => return told.failed = Some("malformed head".to_owned()),
                Ok(head) if head.status != 200 => {
                    return told.failed = Some(format!("status {}", head.status));
                }
                Ok(head) if head.body_len != Some(self.size) => {
                    return told.failed = Some("another length".to_owned());
                }
                Ok(head) => {
                    self.left = Some(self.size);
                    bytes = &bytes[head.head_len..];
                }
            }
        }
        let left = self.left.unwrap_or(0);
        let Some(left) = left.checked_sub(bytes.len() as u64) else {
            return told.failed = Some("too many bytes".to_owned());
        };
        told.body_bytes += bytes.len() as u64;
        self.left = Some(left);
        if left == 0 {
            (self.left, self.due) = (None, None);
            told.done.push(due);
            told.over = self.close;
        }
    }
}
