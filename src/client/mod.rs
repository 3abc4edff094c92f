//! `isobar agent`: a client agent, for containers and hosts that have no seat in the cluster.
//!
//! What is registered with it is its own: a small map in memory, with this node alone in it, which the same API serves
//! and the same runners check as on a member (`local`, `keep`). So it answers for its services when no member can be
//! reached, and a check's result costs the cluster something only when it changes. `report` makes the catalog say the
//! same, through the API of any member: it tells all that there is, and the member proposes what differs, so that no
//! order of changes and no lost answer leaves a difference. The same requests say that this node lives.
//!
//! Everything else is passed on as it came (`forwarder`). A copy of the whole map here would need a place in the log's
//! replication, hence the trust that a member has; a client of the API needs a token.

mod forwarder;
mod keep;
mod local;
mod members;
mod options;
mod process;
mod report;
mod run;

pub use options::Options;
pub use process::Process;
pub use run::run;
