//! The data plane as its peers see it: bytes in, bytes out, log lines and counters; a file for each part of a
//! request's life.

mod ask;
mod body;
mod change;
mod cookie;
mod ending;
mod fetches;
mod filters;
mod framing;
mod h2;
mod h2_floods;
mod h2_server;
mod h2_words;
mod keep;
mod log;
mod options;
mod own;
mod pool;
mod published;
mod queue;
mod receive;
mod retry;
mod rig;
mod rules;
mod stick;
mod switch;
mod tcp;
mod time;
mod tunnel;
mod websocket;
