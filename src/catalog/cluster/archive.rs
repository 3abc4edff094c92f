//! The map as an archive: `/v1/snapshot`, and in pieces for `isobar cluster restore`.

use std::io::{self, Write};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::catalog::request::{Access, Answer, Call, Fault, GET, Outcome, PUT, Resource, Route};
use crate::region::map::{ARCHIVE_PIECE, Command, Map, Name, Piece, unzip_archive};
use crate::region::seat::Seat;

/// Of an archive in one request: it is in memory whole.
const WHOLE: usize = 48 << 20;
/// Pieces on their way to a client that reads slowly.
const AHEAD: usize = 4;
const KIND: &str = "application/x-gzip";

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/snapshot",
        body: 0,
        run: |call| Box::pin(save(call)),
        doc: "The map as an archive, without what the cluster says of itself.",
    },
    Route {
        methods: PUT,
        path: "/v1/snapshot",
        body: WHOLE,
        run: |call| Box::pin(restore(call)),
        doc: "Takes over an archive of up to 48 MiB in the place of all that is here.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/cluster/restore",
        body: ARCHIVE_PIECE,
        run: |call| Box::pin(restore_piece(call)),
        doc: "Takes the next piece of an archive without its gzip: ?archive, ?piece from 0, ?last. An empty piece 0 gives the archive up.",
    },
];

/// Everything is in it, also what each token may not see.
fn require(call: &Call) -> Result<(), Fault> {
    call.require(Resource::Operator, "", Access::Write)?;
    call.require(Resource::Acl, "", Access::Write)
}

async fn save(call: &Call) -> Outcome {
    require(call)?;
    let fresh = call.api.seat.fresh(call.consistency()?).await?;
    let map = call.api.seat.map();
    let index = map.index();
    let (pieces, from) = mpsc::channel(AHEAD);
    // It waits for the client there; that one gone, writing fails.
    tokio::task::spawn_blocking(move || {
        let out = io::BufWriter::with_capacity(64 << 10, Out(pieces));
        if let Err(e) = map.write_archive(out) {
            tracing::debug!("region map: an archive was not taken whole: {e}");
        }
    });
    let known = if fresh.known_leader { "true" } else { "false" };
    let answer = Answer::stream(KIND, from).with_index(index).with("x-consul-knownleader", known);
    Ok(answer.with_number("x-consul-lastcontact", fresh.last_contact_ms))
}

struct Out(mpsc::Sender<Bytes>);

impl Write for Out {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(data));
        sent.map(|()| data.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn restore(call: &Call) -> Outcome {
    require(call)?;
    let zipped = call.body.clone();
    let read = tokio::task::spawn_blocking(move || {
        let archive = unzip_archive(&zipped)?;
        Map::check_archive(&archive).map_err(|e| e.to_string())?;
        Ok::<Bytes, String>(archive.into())
    });
    let read = read.await.map_err(|e| Fault::internal(e.to_string()))?;
    let mut rest = read.map_err(|e| Fault::bad_request(format!("failed to read snapshot file: {e}")))?;
    let archive: Name = uuid::Uuid::new_v4().to_string().into();
    let mut unfinished = Unfinished { archive: archive.clone(), seat: Some(call.api.seat.clone()) };
    let mut number = 0;
    loop {
        let data = rest.split_to(rest.len().min(ARCHIVE_PIECE));
        let piece = Piece { archive: archive.clone(), number, data, last: rest.is_empty() };
        let last = piece.last;
        call.propose(Command::Restore(Box::new(piece))).await?;
        number += 1;
        if last {
            unfinished.seat = None;
            return Ok(Answer::done());
        }
    }
}

/// An archive on its way into the map. When that breaks off, because the client is gone or there is no leader, what came
/// is given back; if that fails too, the map gives it up some minutes later.
struct Unfinished {
    archive: Name,
    seat: Option<Seat>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let (Some(seat), Ok(runtime)) = (self.seat.take(), tokio::runtime::Handle::try_current()) {
            let piece = Piece::giving_up(self.archive.clone());
            runtime.spawn(async move {
                if let Err(e) = seat.propose(Command::Restore(Box::new(piece))).await {
                    tracing::debug!("region map: half an archive is still there: {e}");
                }
            });
        }
    }
}

async fn restore_piece(call: &Call) -> Outcome {
    require(call)?;
    let missing = |name: &str| Fault::bad_request(format!("Missing {name}"));
    let archive: Name = call.params.one("archive")?.ok_or_else(|| missing("archive"))?.into();
    let number = call.params.number("piece")?.ok_or_else(|| missing("piece"))?;
    let piece = Piece { archive, number, data: call.body.clone(), last: call.params.flag("last") };
    call.propose(Command::Restore(Box::new(piece))).await?;
    Answer::json(&json!({ "Index": call.api.seat.map().index() }))
}
