//! What `tune.h2.*` makes of connections to clients and to servers.

use crate::config::global::{H2Tune, Tune};
use crate::http::h2::{Options, Role};

/// The first of two words that is there, else what is usual.
fn first(said: [usize; 2], usual: u32) -> u32 {
    let said = said.into_iter().find(|n| *n > 0);
    said.map_or(usual, |n| n.min(i32::MAX as usize) as u32)
}

/// Of a client's connection. `seed`: see [`Options::seed`].
pub fn of_client(tune: &Tune, seed: u64) -> Options {
    let (h2, usual) = (&tune.h2, Options::default());
    Options {
        max_streams: first([h2.fe_max_streams, h2.max_streams], usual.max_streams),
        most_total: first([h2.fe_most_total, 0], usual.most_total),
        initial_window: first([h2.fe_initial_window, h2.initial_window], usual.initial_window),
        header_table_size: first([h2.header_table, 0], usual.header_table_size),
        glitches_threshold: first([h2.fe_glitches, 0], usual.glitches_threshold),
        max_fields: tune.http_maxhdr,
        max_head: tune.bufsize.saturating_sub(tune.maxrewrite),
        seed,
        ..usual
    }
}

/// Of a server's connection.
pub fn of_server(tune: &H2Tune) -> Options {
    let usual = Options::default();
    Options {
        role: Role::Client,
        max_streams: first([tune.be_max_streams, tune.max_streams], usual.max_streams),
        initial_window: first([tune.be_initial_window, tune.initial_window], usual.initial_window),
        glitches_threshold: first([tune.be_glitches, 0], usual.glitches_threshold),
        ..usual
    }
}
