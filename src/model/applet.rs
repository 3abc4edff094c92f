//! The contract of services that answer requests inside the process (`http-request use-service`, `stats uri`, `haterm`).

/// A request as an applet sees it. The body (if any) was read up to the buffer's size.
pub struct AppletRequest<'a> {
    pub method: &'a [u8],
    /// Path and query as received.
    pub target: &'a [u8],
    pub body: &'a [u8],
    /// The body is all here: it came in time and fits the buffer.
    pub is_whole: bool,
    /// Value of a header by lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The proxy that runs the service.
    pub proxy: &'a str,
    /// A `stats admin` condition of that proxy holds.
    pub is_admin: bool,
}

/// What a service answers.
#[derive(Clone, Debug, Default)]
pub struct AppletReply {
    pub status: u16,
    /// Without framing fields: those are added when it is sent.
    pub headers: Vec<(String, String)>,
    pub body: AppletBody,
    /// Wait this long before the answer starts.
    pub delay_ms: u64,
    pub close: bool,
}

/// The body of an [`AppletReply`].
#[derive(Clone, Debug)]
pub enum AppletBody {
    Bytes(bytes::Bytes),
    /// None, and its length is not told: the answer to HEAD.
    None,
    /// `len` filler bytes made while they are sent, optionally as one chunk.
    Filler {
        len: u64,
        chunked: bool,
    },
}

impl Default for AppletBody {
    fn default() -> Self {
        AppletBody::Bytes(bytes::Bytes::new())
    }
}

impl std::fmt::Debug for dyn Applet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Applet")
    }
}

/// Answers a request from memory, without waiting. Called on data workers.
pub trait Applet: Send + Sync {
    /// What logs call it, in the place of a server.
    fn log_name(&self) -> &'static str {
        "<NOSRV>"
    }

    /// Whether a request with this method is answered only when its body is here, as far as it fits the buffer. Any
    /// other body is taken after the answer, and thrown away.
    fn reads_body(&self, _method: &[u8]) -> bool {
        false
    }

    fn call(&self, request: &AppletRequest<'_>) -> AppletReply;
}
