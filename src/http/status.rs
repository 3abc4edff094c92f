//! Status codes: reason phrases, and the answers the proxy gives by itself when no `errorfile` replaces them.
//! Their bytes are HAProxy's, because monitoring scripts match them.

/// An answer of the proxy's own.
#[derive(Clone, Copy, Debug)]
struct Answer {
    status: u16,
    /// The title, which differs from [`reason_phrase`] for some.
    title: &'static str,
    text: &'static str,
    /// The connection ends behind it.
    closes: bool,
}

const fn answer(status: u16, title: &'static str, text: &'static str) -> Answer {
    Answer { status, title, text, closes: false }
}

const fn last_answer(status: u16, title: &'static str, text: &'static str) -> Answer {
    Answer { status, title, text, closes: true }
}

#[rustfmt::skip]
const ANSWERS: &[Answer] = &[
    answer(200, "OK", "Service ready."),
    last_answer(400, "Bad request", "Your browser sent an invalid request."),
    answer(401, "Unauthorized", "You need a valid user and password to access this content."),
    answer(403, "Forbidden", "Request forbidden by administrative rules."),
    answer(404, "Not Found", "The resource could not be found."),
    answer(405, "Method Not Allowed", "A request was made of a resource using a request method not supported by that resource."),
    answer(407, "Unauthorized", "You need a valid user and password to access this content."),
    last_answer(408, "Request Time-out", "Your browser didn't send a complete request in time."),
    answer(410, "Gone", "The resource is no longer available and will not be available again."),
    answer(413, "Payload Too Large", "The request entity exceeds the maximum allowed."),
    answer(414, "URI Too Long", "The URI provided was too long for the server to process."),
    answer(421, "Misdirected Request", "Request sent to a non-authoritative server."),
    answer(422, "Unprocessable Content", "The server cannot process the contained instructions."),
    answer(425, "Too Early", "Your browser sent early data."),
    answer(429, "Too Many Requests", "You have sent too many requests in a given amount of time."),
    answer(431, "Request Header Fields Too Large", "Request Header Fields Too Large."),
    answer(500, "Internal Server Error", "An internal server error occurred."),
    answer(501, "Not Implemented", "The server does not support the functionality required to fulfill the request."),
    answer(502, "Bad Gateway", "The server returned an invalid or incomplete response."),
    answer(503, "Service Unavailable", "No server is available to handle this request."),
    answer(504, "Gateway Time-out", "The server didn't respond in time."),
];

/// Of our own: HAProxy has no answer to another major version.
const VERSION_ANSWER: Answer =
    last_answer(505, "HTTP Version Not Supported", "This version of HTTP is not spoken here.");

fn find(status: u16) -> Option<&'static Answer> {
    ANSWERS.iter().chain([&VERSION_ANSWER]).find(|a| a.status == status)
}

/// The default answer with this status, as sent to an HTTP/1 client for a request that was understood: status line,
/// fields and body. Some say that the connection ends; if it does for another reason, the writer adds that line behind
/// them. `None` if there is no such answer; HAProxy then takes 500's.
pub fn default_answer(status: u16) -> Option<Vec<u8>> {
    let Answer { title, closes, .. } = find(status)?;
    let body = default_body(status)?;
    let length = body.len();
    let last = if *closes { "connection: close\r\n" } else { "" };
    Some(
        format!(
            "HTTP/1.1 {status} {title}\r\ncontent-length: {length}\r\ncache-control: no-cache\r\n\
             content-type: text/html\r\n{last}\r\n{body}"
        )
        .into_bytes(),
    )
}

/// The same for a request that could not be parsed or did not arrive in time: HAProxy sends its text as it stands in
/// its table, and closes.
pub fn unparsed_answer(status: u16) -> Option<Vec<u8>> {
    let Answer { title, closes, .. } = find(status)?;
    let body = default_body(status)?;
    let length = body.len();
    let last = if *closes { "Connection: close\r\n" } else { "" };
    Some(
        format!(
            "HTTP/1.1 {status} {title}\r\nContent-length: {length}\r\nCache-Control: no-cache\r\n{last}\
             Content-Type: text/html\r\n\r\n{body}"
        )
        .into_bytes(),
    )
}

/// The body of the default answer, `text/html`.
pub fn default_body(status: u16) -> Option<String> {
    let Answer { title, text, .. } = find(status)?;
    Some(format!("<html><body><h1>{status} {title}</h1>\n{text}\n</body></html>\n"))
}

/// The title in the status line of the default answer, which is not always [`reason_phrase`].
pub fn default_title(status: u16) -> Option<&'static str> {
    find(status).map(|a| a.title)
}

/// After this default answer the connection always ends.
pub fn default_closes(status: u16) -> bool {
    find(status).is_some_and(|a| a.closes)
}

/// Statuses that have a default answer and that `errorfile` may replace.
pub fn answer_statuses() -> impl Iterator<Item = u16> {
    ANSWERS.iter().map(|a| a.status)
}

/// ` 200 ` as it stands in a status line; numbers above 999 have no place in one.
pub fn code_between_spaces(status: u16) -> &'static [u8] {
    static CODES: [[u8; 5]; 1000] = codes();
    &CODES[usize::from(status.min(999))]
}

const fn codes() -> [[u8; 5]; 1000] {
    let mut codes = [*b" 000 "; 1000];
    let mut n = 0;
    while n < 1000 {
        codes[n] = [b' ', b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8, b' '];
        n += 1;
    }
    codes
}

/// The reason phrase that HAProxy writes with a status, for those it knows and for the classes of the others.
pub const fn reason_phrase(status: u16) -> &'static str {
    static PHRASES: [&str; 1000] = phrases();
    if status < 1000 { PHRASES[status as usize] } else { "Other" }
}

const fn phrases() -> [&'static str; 1000] {
    let mut phrases = ["Other"; 1000];
    let mut n = 100;
    while n < 600 {
        phrases[n] = ["Informational", "Success", "Redirection", "Client Error", "Server Error"][n / 100 - 1];
        n += 1;
    }
    let mut n = 0;
    while n < REASONS.len() {
        phrases[REASONS[n].0] = REASONS[n].1;
        n += 1;
    }
    phrases
}

const REASONS: &[(usize, &str)] = &[
    (100, "Continue"),
    (101, "Switching Protocols"),
    (102, "Processing"),
    (200, "OK"),
    (201, "Created"),
    (202, "Accepted"),
    (203, "Non-Authoritative Information"),
    (204, "No Content"),
    (205, "Reset Content"),
    (206, "Partial Content"),
    (207, "Multi-Status"),
    (210, "Content Different"),
    (226, "IM Used"),
    (300, "Multiple Choices"),
    (301, "Moved Permanently"),
    (302, "Found"),
    (303, "See Other"),
    (304, "Not Modified"),
    (305, "Use Proxy"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
    (310, "Too many Redirects"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (402, "Payment Required"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (406, "Not Acceptable"),
    (407, "Proxy Authentication Required"),
    (408, "Request Time-out"),
    (409, "Conflict"),
    (410, "Gone"),
    (411, "Length Required"),
    (412, "Precondition Failed"),
    (413, "Request Entity Too Large"),
    (414, "Request-URI Too Long"),
    (415, "Unsupported Media Type"),
    (416, "Requested range unsatisfiable"),
    (417, "Expectation failed"),
    (418, "I'm a teapot"),
    (421, "Misdirected Request"),
    (422, "Unprocessable Content"),
    (423, "Locked"),
    (424, "Method failure"),
    (425, "Too Early"),
    (426, "Upgrade Required"),
    (428, "Precondition Required"),
    (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"),
    (449, "Retry With"),
    (450, "Blocked by Windows Parental Controls"),
    (451, "Unavailable For Legal Reasons"),
    (456, "Unrecoverable Error"),
    (499, "client has closed connection"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway or Proxy Error"),
    (503, "Service Unavailable"),
    (504, "Gateway Time-out"),
    (505, "HTTP Version not supported"),
    (506, "Variant also negotiate"),
    (507, "Insufficient storage"),
    (508, "Loop detected"),
    (509, "Bandwidth Limit Exceeded"),
    (510, "Not extended"),
    (511, "Network authentication required"),
    (520, "Web server is returning an unknown error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// As captured from HAProxy 3.4 with `http-request deny`.
    #[test]
    fn bytes_equal_haproxys() {
        let expected = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\ncache-control: no-cache\r\n\
            content-type: text/html\r\n\r\n<html><body><h1>503 Service Unavailable</h1>\n\
            No server is available to handle this request.\n</body></html>\n";
        assert_eq!(default_answer(503).as_deref(), Some(expected.as_bytes()));
        assert!(default_answer(418).is_none());
        let last = String::from_utf8(default_answer(408).unwrap_or_default());
        assert!(last.is_ok_and(|l| l.contains("content-type: text/html\r\nconnection: close\r\n\r\n<html>")));
        let unparsed = "HTTP/1.1 400 Bad request\r\nContent-length: 90\r\nCache-Control: no-cache\r\n\
            Connection: close\r\nContent-Type: text/html\r\n\r\n<html><body><h1>400 Bad request</h1>\n\
            Your browser sent an invalid request.\n</body></html>\n";
        assert_eq!(unparsed_answer(400).as_deref(), Some(unparsed.as_bytes()));
    }

    #[test]
    fn a_status_without_a_phrase_has_that_of_its_class() {
        let phrases = [0, 100, 103, 299, 302, 403, 499, 599, 600, 999, 1000, 65535].map(reason_phrase);
        assert_eq!(
            phrases,
            [
                "Other",
                "Continue",
                "Informational",
                "Success",
                "Found",
                "Forbidden",
                "client has closed connection",
                "Server Error",
                "Other",
                "Other",
                "Other",
                "Other"
            ]
        );
    }

    #[test]
    fn codes_are_written_with_three_digits() {
        assert_eq!(code_between_spaces(100), b" 100 ");
        assert_eq!(code_between_spaces(504), b" 504 ");
        assert_eq!(code_between_spaces(65535), b" 999 ");
    }
}
