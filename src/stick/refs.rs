//! Tables by name: those of a configuration, and what its rules hold of them while it is read.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::lang::Span;

use super::key::KeyKind;
use super::table::Table;

/// A table that a rule names; it is there when the whole configuration was read.
#[derive(Clone, Debug, Default)]
pub struct TableCell {
    cell: Arc<OnceLock<Arc<Table>>>,
}

impl TableCell {
    /// The table. `None`: it is not there, and the configuration is refused for that.
    #[inline]
    pub fn get(&self) -> Option<&Arc<Table>> {
        self.cell.get()
    }

    pub fn fill(&self, table: Arc<Table>) {
        let _ = self.cell.set(table);
    }
}

/// One mention of a table.
pub struct Use {
    pub at: Span,
    pub table: Box<str>,
    /// The section that it stands in.
    pub from: Box<str>,
    /// As the message calls it: `'track-sc0'`.
    pub what: Box<str>,
    /// Whether keys of such a table can be made of what the rule has; `None`: that is seen while it runs.
    pub fits: Option<Fits>,
    /// It keeps servers in the table.
    pub stores_server: bool,
}

/// See [`Use::fits`].
pub type Fits = Box<dyn Fn(KeyKind) -> bool>;

/// The mentions in a configuration.
#[derive(Default)]
pub struct TableRefs {
    cells: BTreeMap<Box<str>, TableCell>,
    pub uses: Vec<Use>,
}

impl TableRefs {
    /// The cell of a table.
    pub fn cell(&mut self, name: &str) -> TableCell {
        self.cells.entry(name.into()).or_default().clone()
    }

    pub fn mention(&mut self, used: Use) -> TableCell {
        let cell = self.cell(&used.table);
        self.uses.push(used);
        cell
    }

    /// Puts the tables of the configuration into their cells.
    pub fn fill(&self, tables: &Tables) {
        for (name, cell) in &self.cells {
            if let Some(table) = tables.find(name) {
                cell.fill(table.clone());
            }
        }
    }
}

/// The tables of a configuration, in the order of their lines.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    pub list: Vec<Arc<Table>>,
}

impl Tables {
    pub fn find(&self, name: &str) -> Option<&Arc<Table>> {
        self.list.iter().find(|table| *table.name == *name)
    }
}
