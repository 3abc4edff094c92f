//! Why a message was refused: one value for the answer, the log and `show errors`.

/// What a message did wrong; [`Reason::text`] and [`Reason::reference`] say it to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Method,
    Target,
    TargetForm,
    Authority,
    HostMismatch,
    HostConflict,
    Version,
    VersionUnsupported,
    /// The connection preface of HTTP/2 (`PRI * HTTP/2.0`).
    Http2Preface,
    LineTooLong,
    HeadTooLong,
    TooManyFields,
    StatusLine,
    FieldName,
    FieldValue,
    BareCr,
    ObsFold,
    ContentLength,
    TransferEncoding,
    TransferCoding,
    PayloadUnexpected,
    WebsocketKey,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    Trailer,
    TrailerTooLong,
}

impl Reason {
    pub const fn text(self) -> &'static str {
        match self {
            Reason::Method => "the method is no token",
            Reason::Target => "a byte that is not allowed in a request target",
            Reason::TargetForm => "the form of the target does not fit the method",
            Reason::Authority => "invalid authority or Host",
            Reason::HostMismatch => "Host differs from the authority of the target",
            Reason::HostConflict => "several Host fields that differ",
            Reason::Version => "malformed or missing HTTP version",
            Reason::VersionUnsupported => "this major version of HTTP is not spoken here",
            Reason::Http2Preface => "an HTTP/2 connection preface",
            Reason::LineTooLong => "the start line is too long",
            Reason::HeadTooLong => "the head is too long",
            Reason::TooManyFields => "too many header fields",
            Reason::StatusLine => "malformed status line",
            Reason::FieldName => "a byte that is not allowed in a field name",
            Reason::FieldValue => "a control character in a field value",
            Reason::BareCr => "a carriage return without a line feed",
            Reason::ObsFold => "a folded header field",
            Reason::ContentLength => "invalid or conflicting Content-Length",
            Reason::TransferEncoding => "invalid Transfer-Encoding",
            Reason::TransferCoding => "a transfer coding other than chunked",
            Reason::PayloadUnexpected => "a payload with a method that has none in HTTP/1.0",
            Reason::WebsocketKey => "a WebSocket handshake without its key",
            Reason::ChunkSize => "malformed chunk size",
            Reason::ChunkExtension => "malformed or too long chunk extension",
            Reason::ChunkEnd => "a chunk that does not end with CRLF",
            Reason::Trailer => "malformed or forbidden trailer field",
            Reason::TrailerTooLong => "the trailer section is too long",
        }
    }

    /// The rule that was broken.
    pub const fn reference(self) -> &'static str {
        match self {
            Reason::Method => "RFC 9110 9.1",
            Reason::Target => "RFC 9112 3.2, RFC 3986 2",
            Reason::TargetForm => "RFC 9112 3.2",
            Reason::Authority | Reason::HostConflict => "RFC 9110 7.2, RFC 9112 3.2",
            Reason::HostMismatch => "RFC 9112 3.2.2",
            Reason::Version | Reason::VersionUnsupported => "RFC 9112 2.3",
            Reason::Http2Preface => "RFC 9113 3.4",
            Reason::LineTooLong => "RFC 9112 3",
            Reason::HeadTooLong | Reason::TooManyFields => "RFC 9110 5.4",
            Reason::StatusLine => "RFC 9112 4",
            Reason::FieldName => "RFC 9112 5.1",
            Reason::FieldValue => "RFC 9110 5.5",
            Reason::BareCr => "RFC 9112 2.2",
            Reason::ObsFold => "RFC 9112 5.2",
            Reason::ContentLength => "RFC 9110 8.6, RFC 9112 6.3",
            Reason::TransferEncoding | Reason::TransferCoding => "RFC 9112 6.1",
            Reason::PayloadUnexpected => "RFC 9110 9.3.1, configuration manual 3.1",
            Reason::WebsocketKey => "RFC 6455 4",
            Reason::ChunkSize | Reason::ChunkEnd => "RFC 9112 7.1",
            Reason::ChunkExtension => "RFC 9112 7.1.1",
            Reason::Trailer | Reason::TrailerTooLong => "RFC 9112 7.1.2, RFC 9110 6.5.1",
        }
    }

    /// The status that answers a request with this fault, as HAProxy 3.4 chooses it. A bad response makes a 502.
    pub const fn request_status(self) -> u16 {
        match self {
            Reason::LineTooLong => 414,
            Reason::HeadTooLong => 431,
            Reason::TransferCoding => 422,
            Reason::PayloadUnexpected => 413,
            Reason::VersionUnsupported | Reason::Http2Preface => 505,
            _ => 400,
        }
    }
}

/// A refused message: why, where (offset in `buf.written()`), and the status to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMessage {
    pub reason: Reason,
    pub at: usize,
    pub status: u16,
}

impl BadMessage {
    pub const fn request(reason: Reason, at: usize) -> BadMessage {
        BadMessage { reason, at, status: reason.request_status() }
    }

    pub const fn response(reason: Reason, at: usize) -> BadMessage {
        BadMessage { reason, at, status: 502 }
    }
}

impl std::fmt::Display for BadMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at offset {} ({})", self.reason.text(), self.at, self.reason.reference())
    }
}
