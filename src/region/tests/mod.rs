//! Behaviour of the room, a file for each matter.

mod choice;
mod language;
mod watch;
