//! Answers in gzip (RFC 1952), for clients that take it.
//!
//! As Consul gives them: what is 1,400 bytes or longer, and nothing that goes on without an end. Each is compressed before
//! its head is sent; no more is in memory than the answer in one form, a piece in the other and the machine's own state.
//! Large ones are compressed beside the runtime, two at a time: a third one goes out as it is.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};
use tokio::sync::Semaphore;

use crate::catalog::request::answer::Answer;
use crate::catalog::request::budget::{Budget, Share, no_room};
use crate::catalog::request::fault::Fault;

const LEAST: usize = 1_400;
/// What is longer is compressed beside the runtime.
const AT_ONCE: usize = 32 << 10;
/// Compressed between two looks at how much it has become.
const STEP: usize = 64 << 10;
/// Large ones that are compressed at a time.
pub const AT_A_TIME: usize = 2;

/// Whether a client takes gzip (RFC 9110 section 12.5.3).
pub fn is_taken(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for item in lists.flat_map(|list| list.split(',')) {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), |q| q.trim().parse::<f32>());
        let taken = weight.is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => return taken,
            "*" => any = taken,
            _ => {}
        }
    }
    any
}

/// The answer in gzip, or as it was where that is not worth it, or where there is no room.
pub async fn zipped(answer: Answer, budget: &Budget, turns: &Arc<Semaphore>) -> Answer {
    let is_long = answer.rows.is_some() || answer.body.len() > AT_ONCE;
    let is_short = answer.rows.is_none() && answer.body.len() < LEAST;
    if answer.stream.is_some() || is_short || answer.headers.contains_key(CONTENT_ENCODING) {
        return answer;
    }
    if !is_long {
        return packed(answer, budget);
    }
    let Ok(turn) = turns.clone().try_acquire_owned() else { return answer };
    let budget = budget.clone();
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        packed(answer, &budget)
    });
    work.await.unwrap_or_else(|e| Answer::from(Fault::internal(e.to_string())))
}

fn packed(mut answer: Answer, budget: &Budget) -> Answer {
    let body = match answer.rows.take() {
        None => pack([Ok(answer.body.clone())], answer.body.len(), budget),
        // Once begun there is no way back: what was made of it is gone.
        Some(rows) => match pack(rows, usize::MAX, budget) {
            Some(body) => Some(body),
            None => {
                return Answer::from(no_room("Too many large answers are being read"))
                    .with("retry-after", "1");
            }
        },
    };
    if let Some(body) = body {
        answer.body = body;
        answer.is_held = true;
        answer.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// `None`: it becomes `most` bytes or more, or there is no room for what it becomes.
fn pack(
    pieces: impl IntoIterator<Item = serde_json::Result<Bytes>>,
    most: usize,
    budget: &Budget,
) -> Option<Bytes> {
    let mut share = Share::default();
    let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
    for piece in pieces {
        for step in piece.ok()?.chunks(STEP) {
            zip.write_all(step).ok()?;
            let capacity = zip.get_ref().capacity();
            if zip.get_ref().len() >= most || !budget.grow(&mut share, capacity) {
                return None;
            }
        }
    }
    let body = zip.finish().ok().filter(|body| body.len() < most)?;
    budget.grow(&mut share, body.capacity()).then(|| Budget::held(body.into(), share))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::catalog::request::rows::show;

    #[test]
    fn gzip_is_taken_by_those_who_say_so() {
        let says = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(text));
            is_taken(&headers)
        };
        for text in
            ["gzip", "deflate, GZip", "br;q=1.0, gzip;q=0.5", "x-gzip", "*", "gzip; q=1", "identity, *;q=0.1"]
        {
            assert!(says(text), "{text}");
        }
        for text in ["", "identity", "gzip;q=0", "gzip;q=0, *", "deflate", "gzipped", "*;q=0", "gzip;q=x"] {
            assert!(!says(text), "{text}");
        }
        assert!(!is_taken(&HeaderMap::new()));
    }

    fn run(answer: Answer, budget: &Budget, turns: usize) -> Answer {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(zipped(answer, budget, &Arc::new(Semaphore::new(turns))))
    }

    fn text(body: &[u8]) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(body).read_to_string(&mut text).expect("gzip");
        text
    }

    #[test]
    fn what_is_long_enough_is_compressed_and_is_the_same() {
        let budget = Budget::new(1 << 20);
        for length in [1_400, 30_000, 3_000_000] {
            let body = "isobar ".repeat(length / 7 + 1);
            let answer = run(Answer::text(body.clone()), &budget, 1);
            assert_eq!(answer.headers[CONTENT_ENCODING], "gzip", "{length}");
            assert!(answer.body.len() < body.len() / 10 && text(&answer.body) == body);
        }
        let rows = || Answer::rows(&Arc::default(), vec![7_u32; 100_000], |_, row, out| show(out, row));
        let answer = run(rows().expect("an answer"), &budget, 1);
        assert!(answer.rows.is_none());
        assert_eq!(text(&answer.body), format!("[{}]", vec!["7"; 100_000].join(",")));
    }

    #[test]
    fn what_is_short_or_grows_or_has_no_turn_goes_out_as_it_is() {
        let budget = Budget::new(1 << 20);
        let noise =
            || (0..5_000_u64).flat_map(|n| xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()).to_le_bytes());
        let noise = Bytes::from_iter(noise());
        for answer in [Answer::text("v".repeat(1_399)), Answer::raw("x", noise), Answer::done()] {
            let before = answer.body.clone();
            let answer = run(answer, &budget, 1);
            assert!(!answer.headers.contains_key(CONTENT_ENCODING));
            assert_eq!(answer.body, before);
        }
        let answer = run(Answer::text("v".repeat(100_000)), &budget, 0);
        assert_eq!((answer.body.len(), answer.headers.len()), (100_000, 0));
        let (_to, from) = tokio::sync::mpsc::channel(1);
        assert!(run(Answer::stream("x", from), &budget, 1).stream.is_some());
    }

    #[test]
    fn what_it_becomes_counts() {
        let budget = Budget::new(1 << 20);
        let number = |n: u64| xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes());
        let rows = || {
            let rows = (0..200_000).collect::<Vec<u64>>();
            Answer::rows(&Arc::default(), rows, move |_, row, out| show(out, &number(*row)))
        };
        let mut others = Share::default();
        assert!(budget.grow(&mut others, 100 << 10));
        // Two million digits of noise become more than there is room for.
        let answer = run(rows().expect("an answer"), &budget, 1);
        assert_eq!(answer.status, 503);
        let wide = Budget::new(8 << 20);
        let answer = run(rows().expect("an answer"), &wide, 1);
        assert_eq!((answer.status.as_u16(), answer.is_held), (200, true));
        let mut share = Share::default();
        assert!(!wide.grow(&mut share, 8 << 20));
        drop(answer);
        assert!(wide.grow(&mut share, 8 << 20));
    }
}
