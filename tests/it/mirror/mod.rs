//! The mirror between real registries: Debian's `docker-registry`, with `skopeo` to push and to look.
//!
//! | file | what |
//! |---|---|
//! | `registry` | a registry that is started, stopped and killed; images made from nothing |
//! | `copies` | what is copied is the same, what is announced is copied at once, what is deleted |
//! | `faults` | workers and registries that are killed in the middle of a layer |

mod copies;
mod faults;
mod registry;
