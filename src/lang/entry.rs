//! What every nameable thing says about itself: the one struct that keyword tables are made of.

/// How far Isobar supports a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Behaves as HAProxy's manual says.
    Full,
    /// Works, except for what the text names.
    Partial(&'static str),
    /// Parsed and without effect, for the reason given.
    Accepted(&'static str),
    /// A configuration that uses it is refused, with this reason.
    Refused(&'static str),
}

/// What a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A file that is read with the configuration, or a directory of such files.
    File,
    /// A file that lists others, one a line, as the first word.
    List,
    /// A zone file, and those that it includes.
    Zone,
    /// A file that is read once, and written by others all the time.
    State,
    /// A directory that names of files are joined to.
    Base,
    /// Addresses to listen on, comma-separated.
    Bind,
    /// What unix sockets to listen on begin with.
    Prefix,
    /// An address to connect to.
    Connect,
}

/// Where such a word stands in a line with the keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Behind each word like this in the line; empty: behind the keyword itself.
    pub after: &'static str,
    /// So many words further, from 1.
    pub words: usize,
    pub what: What,
}

impl Place {
    /// The first argument is a file.
    pub const FILE: &'static [Place] = &[Place::argument(1, What::File)];
    /// The first argument is a directory that names of files are joined to.
    pub const BASE: &'static [Place] = &[Place::argument(1, What::Base)];

    /// The word number `words` after the keyword, from 1.
    pub const fn argument(words: usize, what: What) -> Place {
        Place { after: "", words, what }
    }

    /// The word after `option`, wherever that stands behind the keyword.
    pub const fn option(option: &'static str, what: What) -> Place {
        Place { after: option, words: 1, what }
    }
}

/// One keyword, fetch, converter, action, runtime command, field, algorithm or flag.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: &'static str,
    /// Arguments as the manual writes them: `<conns>`, `[<addr>]:<port>`. Empty for none.
    pub args: &'static str,
    /// One line.
    pub doc: &'static str,
    /// One configuration line (or expression, or command) that parses.
    pub example: &'static str,
    /// HAProxy version that introduced it (`"1.5"`), or `"isobar"` for our own.
    pub since: &'static str,
    pub status: Status,
    /// Which of its words name files and addresses.
    pub names: &'static [Place],
}

impl Entry {
    pub const fn full(
        name: &'static str,
        args: &'static str,
        doc: &'static str,
        example: &'static str,
        since: &'static str,
    ) -> Self {
        Entry { name, args, doc, example, since, status: Status::Full, names: &[] }
    }

    /// Says which words of its lines name files and addresses.
    pub const fn naming(self, names: &'static [Place]) -> Self {
        Entry { names, ..self }
    }

    pub const fn with(self, status: Status) -> Self {
        Entry { status, ..self }
    }
}
