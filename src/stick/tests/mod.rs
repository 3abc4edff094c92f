//! The room as a whole, on a clock of the tests' own.

mod counting;
mod lines;
mod million;

use std::sync::Arc;

use super::{Spec, Table};
use crate::lang::{Span, Word};

/// What follows `stick-table`, read.
fn spec(line: &str) -> Result<Spec, String> {
    let words: Vec<Word> =
        line.split(' ').map(|word| Word::new(word.as_bytes().to_vec(), Span::default())).collect();
    Spec::parse(&words, Span::default(), &mut |_, message| panic!("{message}"))
        .map_err(|(_, message)| message)
}

fn table(line: &str) -> Arc<Table> {
    Arc::new(Table::new("t", spec(line).expect("a table")))
}
