//! Zone files: entries, directives and defaults (RFC 1035, 5; RFC 2308, 4).

use std::io;
use std::path::{Path, PathBuf};

use super::build::Builder;
use super::generate;
use super::rdata::{parse, ttl, type_of};
use super::token::{Entry, Token, Tokens};
use crate::dns::name::from_text;
use crate::dns::wire::rtype;

/// How deep files may include each other.
const DEPTH: usize = 8;
/// Files that are looked for among those that a zone includes.
const FILES: usize = 1000;
const INCLUDE: &[u8] = b"$INCLUDE";
/// Faults that are told of one zone.
const FAULTS: usize = 20;

/// Reads a file; it may be denied.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: PathBuf,
    /// From 1; 0 when it is about the file itself.
    pub line: u32,
    pub message: String,
}

/// Reads a zone file and those it includes.
pub struct FileReader<'a> {
    read: ReadFile<'a>,
    builder: &'a mut Builder,
    pub faults: Vec<Fault>,
    /// `$TTL`.
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    rdata: Vec<u8>,
}

/// Files that a zone file includes, and those that these do: what has to be read and watched with it.
pub fn included(file: &Path, read: &dyn Fn(&Path) -> Option<Vec<u8>>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    add_included(file, read, DEPTH, &mut found);
    found
}

fn add_included(
    file: &Path,
    read: &dyn Fn(&Path) -> Option<Vec<u8>>,
    depth: usize,
    found: &mut Vec<PathBuf>,
) {
    let Some(text) = read(file).filter(|_| depth > 0) else { return };
    // Most zones are long and include nothing: only lines that begin with a dollar are looked at.
    let starts = memchr::memchr_iter(b'$', &text).filter(|at| *at == 0 || text[at - 1] == b'\n');
    for start in starts {
        let mut tokens = Tokens::new(&text[start..]);
        let mut entry = Entry::default();
        let [first, name, ..] = (match tokens.next(&mut entry) {
            Ok(true) => &entry.tokens[..],
            _ => continue,
        }) else {
            continue;
        };
        if first.text.eq_ignore_ascii_case(INCLUDE) && found.len() < FILES {
            let path = beside(file, name);
            if !found.contains(&path) {
                found.push(path.clone());
                add_included(&path, read, depth - 1, found);
            }
        }
    }
}

/// A name in a file is meant beside it.
fn beside(file: &Path, name: &Token<'_>) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(lossy(name))
}

/// What holds in one file.
struct Scope<'s> {
    file: &'s Path,
    depth: usize,
    origin: Vec<u8>,
    owner: Option<Vec<u8>>,
}

impl<'a> FileReader<'a> {
    pub fn new(builder: &'a mut Builder, read: ReadFile<'a>) -> FileReader<'a> {
        FileReader { read, builder, faults: Vec::new(), default_ttl: None, last_ttl: None, rdata: Vec::new() }
    }

    /// Adds what the file has to the builder; what is wrong is among the faults.
    pub fn load(&mut self, file: &Path) {
        let origin = self.builder.apex().to_vec();
        self.file(&mut Scope { file, depth: 0, origin, owner: None });
    }

    fn file(&mut self, scope: &mut Scope<'_>) {
        match (self.read)(scope.file) {
            Ok(text) => self.entries(&text, scope),
            Err(e) => self.fault(scope, 0, format!("cannot be read: {e}")),
        }
    }

    fn entries(&mut self, text: &[u8], scope: &mut Scope<'_>) {
        let (mut tokens, mut entry) = (Tokens::new(text), Entry::default());
        while self.faults.len() < FAULTS {
            let done = match tokens.next(&mut entry) {
                Ok(false) => return,
                Ok(true) => self.entry(&entry, scope),
                Err((line, message)) => return self.fault(scope, line, message.into()),
            };
            if let Err(message) = done {
                self.fault(scope, entry.line, message);
            }
        }
    }

    fn fault(&mut self, scope: &Scope<'_>, line: u32, message: String) {
        self.faults.push(Fault { file: scope.file.to_owned(), line, message });
    }

    fn entry(&mut self, entry: &Entry<'_>, scope: &mut Scope<'_>) -> Result<(), String> {
        let first = entry.tokens[0];
        if first.text.first() == Some(&b'$') && !first.quoted && !entry.indented {
            return self.directive(entry, scope);
        }
        let mut rest = &entry.tokens[..];
        if !entry.indented {
            scope.owner = Some(from_text(first.text, Some(&scope.origin)).map_err(|e| e.to_string())?);
            rest = &rest[1..];
        }
        let owner = scope.owner.take().ok_or("the first entry has no name")?;
        let done = self.record(&owner, rest, &scope.origin);
        scope.owner = Some(owner);
        done
    }

    /// `[ttl] [class] type data`, the first two in any order.
    fn record(&mut self, owner: &[u8], mut rest: &[Token<'_>], origin: &[u8]) -> Result<(), String> {
        let (mut given, mut class) = (None, false);
        let rtype = loop {
            let (word, after) = rest.split_first().ok_or("a type is missing")?;
            rest = after;
            if given.is_none() && word.text.first().is_some_and(u8::is_ascii_digit) {
                given = Some(ttl(word.text).ok_or_else(|| format!("'{}' is no TTL", lossy(word)))?);
            } else if !class && word.text.eq_ignore_ascii_case(b"IN") {
                class = true;
            } else if let Some(rtype) = type_of(word.text) {
                break rtype;
            } else {
                return Err(format!("'{}' is no type of records", lossy(word)));
            }
        };
        let mut rdata = std::mem::take(&mut self.rdata);
        rdata.clear();
        let parsed = parse(rtype, rest, origin, &mut rdata).map_err(|e| e.to_string());
        let done = parsed.and_then(|()| self.add(owner, rtype, given, &rdata));
        self.rdata = rdata;
        done
    }

    fn add(&mut self, owner: &[u8], rtype: u16, given: Option<u32>, rdata: &[u8]) -> Result<(), String> {
        // A SOA record without any TTL has that of negative answers, and so have those after it.
        let minimum =
            || Some(u32::from_be_bytes(rdata.last_chunk().copied()?)).filter(|_| rtype == rtype::SOA);
        let ttl = given.or(self.default_ttl).or(self.last_ttl).or_else(minimum);
        let ttl = ttl.ok_or("no TTL: give one here or in a '$TTL' before")?;
        self.last_ttl = Some(ttl);
        self.builder.add(owner, rtype, ttl, rdata).map_err(|e| e.to_string())
    }

    fn directive(&mut self, entry: &Entry<'_>, scope: &mut Scope<'_>) -> Result<(), String> {
        let word = |at: usize| entry.tokens.get(at);
        let name = |token: &Token<'_>, scope: &Scope<'_>| {
            from_text(token.text, Some(&scope.origin)).map_err(|e| e.to_string())
        };
        match &*entry.tokens[0].text.to_ascii_uppercase() {
            b"$ORIGIN" => scope.origin = name(word(1).ok_or("'$ORIGIN' expects a name")?, scope)?,
            b"$TTL" => {
                let time = word(1).ok_or("'$TTL' expects a time")?;
                self.default_ttl =
                    Some(ttl(time.text).ok_or_else(|| format!("'{}' is no TTL", lossy(time)))?);
            }
            INCLUDE => {
                let file = word(1).ok_or("'$INCLUDE' expects a file")?;
                let origin = word(2).map_or_else(|| Ok(scope.origin.clone()), |token| name(token, scope))?;
                if scope.depth >= DEPTH {
                    return Err(format!("files include each other more than {DEPTH} deep"));
                }
                let file = beside(scope.file, file);
                let owner = scope.owner.clone();
                self.file(&mut Scope { file: &file, depth: scope.depth + 1, origin, owner });
            }
            b"$GENERATE" => return self.generate(entry, scope),
            _ => return Err(format!("'{}' is no directive", lossy(&entry.tokens[0]))),
        }
        Ok(())
    }

    fn generate(&mut self, entry: &Entry<'_>, scope: &Scope<'_>) -> Result<(), String> {
        let [_, range, rest @ ..] = &entry.tokens[..] else {
            return Err("'$GENERATE' expects a range".into());
        };
        let (start, stop, step) = generate::range(range.text)
            .ok_or_else(|| format!("'{}' is no range: write 1-10 or 1-10/2", lossy(range)))?;
        if rest.len() < 3 {
            return Err("'$GENERATE' expects a range, a name, a type and data".into());
        }
        let mut line = Vec::new();
        let mut value = start;
        loop {
            line.clear();
            for token in rest {
                let quote: &[u8] = if token.quoted { b"\"" } else { b"" };
                line.extend_from_slice(quote);
                generate::substitute(token.text, value, &mut line).ok_or("a modifier of '$' is faulty")?;
                line.extend_from_slice(quote);
                line.push(b' ');
            }
            let mut tokens = Tokens::new(&line);
            let mut one = Entry::default();
            if tokens.next(&mut one).map_err(|(_, message)| message)? {
                let owner = from_text(one.tokens[0].text, Some(&scope.origin)).map_err(|e| e.to_string())?;
                self.record(&owner, &one.tokens[1..], &scope.origin)?;
            }
            match value.checked_add(step).filter(|next| *next <= stop) {
                Some(next) => value = next,
                None => return Ok(()),
            }
        }
    }
}

fn lossy(token: &Token<'_>) -> String {
    String::from_utf8_lossy(token.text).into_owned()
}
