//! What this process says while it runs, to whoever asks: `/v1/agent/monitor`.

use std::sync::LazyLock;

use bytes::Bytes;
use tokio::sync::{Semaphore, broadcast, mpsc};
use tracing::Level;

use crate::base::clock;
use crate::catalog::request::{Access, Answer, Call, Fault, GET, Outcome, Resource, Route, TEXT};

pub const ROUTES: &[Route] = &[Route {
    methods: GET,
    path: "/v1/agent/monitor",
    body: 0,
    run: |call| Box::pin(monitor(call)),
    doc: "What this process says from now on, line by line; ?loglevel.",
}];

/// Lines that one who reads slowly may be behind; what it misses is counted.
const BEHIND: usize = 512;
/// Who may listen at once.
const LISTENERS: usize = 16;

static SAID: LazyLock<broadcast::Sender<(Level, Bytes)>> = LazyLock::new(|| broadcast::Sender::new(BEHIND));
static ROOM: LazyLock<std::sync::Arc<Semaphore>> =
    LazyLock::new(|| std::sync::Arc::new(Semaphore::new(LISTENERS)));

/// Something was said.
pub fn tell(level: Level, text: &str) {
    if SAID.receiver_count() > 0 {
        let now = jiff::Timestamp::from_second(clock::wall().as_secs() as i64).unwrap_or_default();
        let line = format!("{now} [{level}] {text}\n");
        let _ = SAID.send((level, line.into()));
    }
}

fn level(name: &str) -> Option<Level> {
    Some(match name {
        "trace" => Level::TRACE,
        "debug" => Level::DEBUG,
        "info" => Level::INFO,
        "warn" => Level::WARN,
        "error" | "err" => Level::ERROR,
        _ => return None,
    })
}

async fn monitor(call: &Call) -> Outcome {
    let name = call.params.text("loglevel").unwrap_or("info").to_ascii_lowercase();
    let least = level(&name).ok_or_else(|| Fault::bad_request(format!("Unknown log level: {name}")))?;
    call.require(Resource::Agent, &call.api.settings.node_name, Access::Read)?;
    let full = |_| Fault::new(hyper::StatusCode::TOO_MANY_REQUESTS, "Too many listen already");
    let place = ROOM.clone().try_acquire_owned().map_err(full)?;
    let mut said = SAID.subscribe();
    let (lines, from) = mpsc::channel(1);
    tokio::spawn(async move {
        let _place = place;
        loop {
            let line = tokio::select! {
                line = said.recv() => line,
                () = lines.closed() => return,
            };
            let line = match line {
                Ok((level, line)) if level <= least => line,
                Ok(_) => continue,
                Err(broadcast::error::RecvError::Lagged(n)) => format!("[{n} lines were missed]\n").into(),
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if lines.send(line).await.is_err() {
                return;
            }
        }
    });
    Ok(Answer::stream(TEXT, from))
}
