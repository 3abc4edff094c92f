//! The registry of everything that has a name, put together from every room.

use crate::lang::registry::{Kind, Registry};
use crate::{admin, balance, config, lang, rules};

use super::flags::FLAGS;
use super::parts::table::PARTS;

/// HAProxy's vocabulary and what each room implements of it.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.know(&config::vocabulary::ALL);
    registry.know(&rules::vocabulary::ALL);
    registry.know(&admin::vocabulary::ALL);
    registry.know(&[&super::vocabulary::FLAGS]);
    lang::keywords::register(&mut registry);
    rules::register(&mut registry);
    registry.add(Kind::Balance, balance::algorithm::ALGORITHMS.iter().map(|a| &a.entry));
    PARTS.iter().for_each(|row| (row.register)(&mut registry));
    registry.add(Kind::Command, admin::cli::entries());
    registry.add(Kind::StatField, admin::stat::column::entries());
    registry.add(Kind::Service, admin::SERVICES);
    registry.add(Kind::Flag, FLAGS.iter().map(|f| &f.entry));
    registry
}
