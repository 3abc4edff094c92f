//! Checks against real listeners, what they do to servers, and the configuration's lines.

mod farm;
mod probing;
mod reading;
mod running;
