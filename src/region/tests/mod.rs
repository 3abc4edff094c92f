//! Seats: what readers see of changes, and when they wake.

mod watch;
