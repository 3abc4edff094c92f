//! One command: a row of a table with its words, and a function from arguments to requests and from answers to text.

use super::client::Api;

/// What a command was given after its words.
pub(super) struct Given {
    pub(super) words: Vec<String>,
    pub(super) flags: Vec<String>,
}

impl Given {
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f == flag)
    }

    /// `--name=value`
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().find_map(|f| f.strip_prefix(name)?.strip_prefix('='))
    }
}

/// One command of two words.
pub(super) struct Operation {
    pub(super) words: [&'static str; 2],
    /// As the usage text shows them.
    pub(super) args: &'static str,
    /// Fewest and most words.
    pub(super) takes: (usize, usize),
    /// The flags it knows; one that ends in `=` takes a value.
    pub(super) flags: &'static [&'static str],
    pub(super) doc: &'static str,
    pub(super) run: fn(&Api, &Given) -> Result<String, String>,
}

/// Rows in columns, each as wide as its longest cell, three blanks apart: the way Swarm prints them.
pub(super) fn columns(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heads.iter().map(|h| h.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let heads: Vec<String> = heads.iter().map(|h| (*h).to_owned()).collect();
    for row in std::iter::once(&heads).chain(rows) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        out.push_str(cells.join("   ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = vec![vec!["1 *".to_owned(), "lb1".to_owned()], vec!["12".to_owned(), String::new()]];
        assert_eq!(columns(&["ID", "HOSTNAME"], &rows), "ID    HOSTNAME\n1 *   lb1\n12\n");
    }
}
