//! `haterm`: answers made to order for benchmarks. The query string says size, status, delay and framing
//! (HAProxy 3.4, doc/haterm.txt).

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::lang::Entry;
use crate::model::applet::{Applet, AppletBody, AppletReply, AppletRequest};

pub const ENTRY: Entry = Entry::full(
    "haterm",
    "",
    "Answers made to order by the query string, for benchmarks (in HAProxy a mode of its own).",
    "http-request use-service haterm",
    "isobar",
);

/// Longest delay that `t=` can ask for.
const MAX_DELAY_MS: u64 = 3_600_000;

/// The service. One serves any number of proxies.
#[derive(Debug, Default)]
pub struct Haterm {
    /// State of the generator behind the `r` suffix.
    seed: AtomicU64,
}

/// What a query string orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// `s=`: bytes of body.
    pub size: u64,
    /// `r=`: status, 200 to 999.
    pub status: u16,
    /// `t=`: milliseconds before the answer.
    pub delay_ms: u64,
    /// `c=`: may be cached.
    pub cacheable: bool,
    /// `k=`: chunked, as one chunk.
    pub chunked: bool,
    /// `C=`, `K=`: keep the connection; `None` as the client asks.
    pub keep: Option<bool>,
}

impl Default for Order {
    fn default() -> Self {
        Order { size: 0, status: 200, delay_ms: 0, cacheable: true, chunked: false, keep: None }
    }
}

/// A number as C's `strtol(..., 0)` reads it (decimal, `0x` or octal, signed), and how long it is.
fn number(text: &[u8]) -> Option<(i64, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative || text.first() == Some(&b'+'));
    let rest = &text[start..];
    let (radix, skip) = match rest {
        [b'0', b'x' | b'X', d, ..] if d.is_ascii_hexdigit() => (16, 2),
        [b'0', ..] => (8, 0),
        _ => (10, 0),
    };
    let digits = rest[skip..].iter().take_while(|b| (**b as char).is_digit(radix)).count();
    if digits == 0 {
        return None;
    }
    let value = rest[skip..skip + digits].iter().fold(0i64, |sum, b| {
        sum.saturating_mul(i64::from(radix))
            .saturating_add(i64::from((*b as char).to_digit(radix).unwrap_or(0)))
    });
    Some((if negative { -value } else { value }, start + skip + digits))
}

impl Order {
    /// Reads the arguments after `?`; stops at the first that is none. `random` gives a fraction of 2^32 to the `r` suffix.
    /// The size of a HEAD request's answer stays 0.
    pub fn parse(query: &[u8], is_head: bool, random: impl Fn() -> u32) -> Order {
        let mut order = Order::default();
        let mut rest = query;
        while let [key, b'=', value @ ..] = rest {
            let Some((mut n, used)) = number(value) else { break };
            let suffix = value[used..].iter().take_while(|b| b"kKmMgGrR".contains(b)).count();
            let (mut shift, mut is_random) = (0u32, false);
            for b in &value[used..used + suffix] {
                match b {
                    b'k' | b'K' => shift += 10,
                    b'm' | b'M' => shift += 20,
                    b'g' | b'G' => shift += 30,
                    _ => is_random = true,
                }
            }
            if is_random {
                n = ((i128::from(n) * i128::from(random())) / i128::from(u32::MAX)) as i64;
            }
            let scaled = u64::try_from((n.max(0) as u128) << shift.min(64)).unwrap_or(u64::MAX);
            order.set(*key, n, scaled, is_head);
            rest = match &value[used + suffix..] {
                [b'&' | b'?' | b',' | b';' | b'/', tail @ ..] => tail,
                _ => break,
            };
        }
        order
    }

    fn set(&mut self, key: u8, n: i64, scaled: u64, is_head: bool) {
        match key {
            b's' if !is_head => self.size = scaled,
            b'r' => {
                if let Ok(code @ 200..=999) = u16::try_from(scaled) {
                    self.status = code;
                }
            }
            b't' => self.delay_ms = scaled.min(MAX_DELAY_MS),
            b'c' => self.cacheable = n >= 1,
            b'k' => self.chunked = n > 0,
            b'C' => self.keep = Some(n == 0),
            b'K' => self.keep = Some(n != 0),
            // `A` (when the request's body is drained), `S` (splicing) and `R` (random bytes) change nothing here.
            _ => {}
        }
    }

    fn reply(&self) -> AppletReply {
        let Order { size, status, delay_ms, cacheable, chunked, keep } = *self;
        let mut headers = Vec::with_capacity(3);
        if !cacheable {
            headers.push(("Cache-control".into(), "no-cache".into()));
        }
        let chunks = if chunked { ", chunked," } else { "," };
        headers.push(("X-req".into(), "time=0 ms".into()));
        let cache = u8::from(cacheable);
        headers.push((
            "X-rsp".into(),
            format!(
                "id=dummy, code={status}, cache={cache}{chunks} size={size}, time={delay_ms} ms (0 real)"
            ),
        ));
        let body = AppletBody::Filler { len: size, chunked };
        AppletReply { status, headers, body, delay_ms, close: keep == Some(false) }
    }
}

/// The answer to an empty query.
fn usage() -> AppletReply {
    let text = format!(
        "Isobar's haterm, a web server for benchmarks whose answers are made to order - version {}.\n\
         A number is digits followed by any of k, m, g (times 1024, 1024^2, 1024^3) and r (times a random 0..1).\n\
         Arguments of the query string:\n \
         - /?s=<size>        send <size> bytes.                       /?s=20k\n \
         - /?r=<retcode>     answer with status <retcode>.            /?r=404\n \
         - /?c=<cache>       below 1: forbid caching.                 /?c=0\n \
         - /?C=<close>       above 0: close the connection.           /?C=1\n \
         - /?K=<keep-alive>  above 0: keep the connection.            /?K=1\n \
         - /?t=<time>        wait <time> milliseconds before.         /?t=500\n \
         - /?k=<enable>      above 0: send the body as one chunk.     /?k=1\n \
         - /?A= /?R= /?S=    accepted, without effect.\n\
         \n\
         Several are separated by any of & ? , ; / :\n \
         -  GET /?s=20k&c=1&t=700&K=30r HTTP/1.0\n \
         -  GET /?r=500?s=0?c=0?t=1000 HTTP/1.0\n\n",
        env!("CARGO_PKG_VERSION")
    );
    AppletReply {
        status: 200,
        headers: vec![
            ("Cache-Control".into(), "no-cache".into()),
            ("Content-type".into(), "text/plain".into()),
        ],
        body: AppletBody::Bytes(Bytes::from(text)),
        delay_ms: 0,
        close: true,
    }
}

impl Haterm {
    /// The next word of a splitmix64 sequence: spread is all that is asked of it.
    fn random(&self) -> u32 {
        let n = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (n >> 32) as u32
    }
}

impl Applet for Haterm {
    fn reads_body(&self, _method: &[u8]) -> bool {
        true
    }

    fn call(&self, request: &AppletRequest<'_>) -> AppletReply {
        let Some(mark) = memchr::memchr(b'?', request.target) else { return Order::default().reply() };
        match &request.target[mark + 1..] {
            [] => usage(),
            query => Order::parse(query, request.method == b"HEAD", || self.random()).reply(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Order {
        Order::parse(query.as_bytes(), false, || u32::MAX / 2)
    }

    #[test]
    fn arguments_cumulate_over_any_delimiter() {
        let all = Order {
            size: 20 << 10,
            status: 404,
            delay_ms: 700,
            cacheable: false,
            chunked: true,
            keep: Some(false),
        };
        assert_eq!(parse("s=20k&r=404,t=700;c=0/k=1?C=1"), all);
        assert_eq!(parse("r=500?s=0?c=0?t=1000").delay_ms, 1000);
        // What is no argument ends the list.
        assert_eq!(parse("s=5&xyz&r=404"), Order { size: 5, ..Order::default() });
    }

    #[test]
    fn suffixes_scale_and_draw() {
        assert_eq!(parse("s=2kk").size, 2 << 20);
        assert_eq!(parse("s=0x10").size, 16);
        assert_eq!(parse("s=010").size, 8);
        assert_eq!(parse("s=1000r").size, 499);
        assert_eq!(parse("s=-5").size, 0);
        assert_eq!(parse("s=9999999999999999999ggg").size, u64::MAX);
        assert_eq!(parse("r=70000").status, 200);
        assert_eq!(parse("K=0").keep, Some(false));
        assert_eq!(Order::parse(b"s=5", true, || 0).size, 0);
    }

    #[test]
    fn reply_describes_itself() {
        let reply = parse("s=10&k=1&c=0").reply();
        assert_eq!(reply.headers[0], ("Cache-control".into(), "no-cache".into()));
        assert_eq!(reply.headers[2].1, "id=dummy, code=200, cache=0, chunked, size=10, time=0 ms (0 real)");
        assert!(matches!(reply.body, AppletBody::Filler { len: 10, chunked: true }));
    }

    #[test]
    fn an_empty_query_asks_for_help_and_no_query_for_nothing() {
        let call = |target: &[u8]| {
            let request = AppletRequest {
                method: b"GET",
                target,
                body: b"",
                is_whole: true,
                header: &|_| None,
                proxy: "p",
                is_admin: false,
            };
            Haterm::default().call(&request)
        };
        assert!(matches!(call(b"/?").body, AppletBody::Bytes(b) if b.starts_with(b"Isobar")));
        assert!(matches!(call(b"/").body, AppletBody::Filler { len: 0, chunked: false }));
        assert_eq!(call(b"http://h/?r=503").status, 503);
    }
}
