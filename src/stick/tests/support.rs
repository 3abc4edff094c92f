//! Tables of trials, by their lines.

use std::sync::Arc;

use super::super::{Spec, Table};
use crate::lang::{Span, Word};

/// What follows `stick-table`, read.
pub fn spec(line: &str) -> Result<Spec, String> {
    let words: Vec<Word> =
        line.split(' ').map(|word| Word::new(word.as_bytes().to_vec(), Span::default())).collect();
    Spec::parse(&words, Span::default(), &mut |_, message| panic!("{message}"))
        .map_err(|(_, message)| message)
}

pub fn table(line: &str) -> Arc<Table> {
    Arc::new(Table::new("t", spec(line).expect("a table")))
}
