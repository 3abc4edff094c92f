//! The files that a configuration's certificates, authorities and lists are in: each read and parsed once, many at once.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::crt_list::{self, Line, List};
use super::disk::Disk;
use super::kept::{self, Kept};
use super::material::{self, Material, Told};
use super::session::Sessions;
use super::ticket::TicketKeys;
use super::trust::{CaFile, CrlFile, SYSTEM_CA};
use super::words::{ExtraFiles, Globals, Source};

/// The halves of a bundle, the preferred first.
const HALVES: [&str; 2] = ["ecdsa", "rsa"];
/// Fewer files are read without asking what their directories hold.
const FEW: usize = 16;
const NOT_CERTIFICATES: [&str; 4] = [".key", ".ocsp", ".issuer", ".sctl"];

#[derive(Clone)]
pub struct Library<'d> {
    disk: &'d dyn Disk,
    globals: Globals,
    now_s: i64,
    pub(super) sessions: Arc<Sessions>,
    /// By the name in the configuration; a bundle has two.
    certificates: HashMap<String, Vec<Arc<Material>>>,
    pub(super) lists: HashMap<String, Arc<List>>,
    ca_files: HashMap<String, Arc<CaFile>>,
    crl_files: HashMap<String, Arc<CrlFile>>,
    pub(super) ticket_keys: Vec<(String, Arc<TicketKeys>)>,
    /// What commands changed of the configuration before, as far as no file has changed since.
    pub(super) kept: Kept,
}

/// What one line of a list, or a word of a `bind` line, shows.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// The list, with the number of its line.
    pub list: Option<(Arc<str>, usize)>,
    pub line: Line,
    pub is_default: bool,
}

impl<'d> Library<'d> {
    /// `now_s`: since the Unix epoch. `sessions`: those of the configuration before, if there was one.
    pub fn new(
        disk: &'d dyn Disk,
        globals: Globals,
        now_s: i64,
        sessions: Option<Arc<Sessions>>,
    ) -> Library<'d> {
        let made = || Sessions::new(globals.cache_blocks, globals.lifetime_s);
        let sessions = sessions.unwrap_or_else(made);
        Library {
            disk,
            globals,
            now_s,
            sessions,
            certificates: HashMap::new(),
            lists: HashMap::new(),
            ca_files: HashMap::new(),
            crl_files: HashMap::new(),
            ticket_keys: Vec::new(),
            kept: Kept::default(),
        }
    }

    /// Where there is nothing to read.
    pub(super) fn empty() -> Library<'static> {
        Library::new(&Nowhere, Globals::default(), 0, None)
    }

    /// With what runtime commands changed before.
    pub fn keeping(self, kept: Kept) -> Library<'d> {
        Library { kept, ..self }
    }

    /// To be handed to the next configuration's library, whose clients go on with their sessions.
    pub fn sessions(&self) -> Arc<Sessions> {
        self.sessions.clone()
    }

    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// What the words of a line show, in their order.
    pub(super) fn plan(&mut self, sources: &[Source], told: &mut Told) -> Vec<Planned> {
        let mut planned = Vec::new();
        for source in sources {
            let is_default = matches!(source, Source::DefaultCrt(_));
            let path = match source {
                Source::Crt(name) | Source::DefaultCrt(name) => self.globals.crt(name),
                Source::CrtList(name) => PathBuf::from(name),
            };
            let name = path.display().to_string();
            let list = match source {
                Source::CrtList(_) => match self.crt_list(&name) {
                    Ok(list) => Some(list),
                    Err(mut errors) => {
                        told.errors.append(&mut errors);
                        continue;
                    }
                },
                _ => self.directory(&name, &path),
            };
            match list {
                Some(list) => {
                    let of: Arc<str> = list.name.as_str().into();
                    let all = list.lines.iter().map(|line| Planned {
                        list: Some((of.clone(), line.number)),
                        line: line.clone(),
                        is_default,
                    });
                    planned.extend(all);
                }
                None => {
                    let line = Line { crt: name, ..Line::default() };
                    planned.push(Planned { list: None, line, is_default });
                }
            }
        }
        planned
    }

    /// The lists and directories among the sources of a line.
    pub(super) fn lists_of(&self, sources: &[Source]) -> Vec<Arc<str>> {
        let path = |source: &Source| match source {
            Source::Crt(name) | Source::DefaultCrt(name) => self.globals.crt(name).display().to_string(),
            Source::CrtList(name) => name.clone(),
        };
        let names = sources.iter().map(path);
        let found = names.filter_map(|name| {
            let name = name.trim_end_matches('/');
            self.lists.contains_key(name).then(|| name.into())
        });
        found.collect()
    }

    /// The same without a disk: what is read is there, and nothing else.
    pub(super) fn closed(self) -> Library<'static> {
        let Library {
            disk: _,
            globals,
            now_s,
            sessions,
            certificates,
            lists,
            ca_files,
            crl_files,
            ticket_keys,
            kept,
        } = self;
        Library {
            disk: &Nowhere,
            globals,
            now_s,
            sessions,
            certificates,
            lists,
            ca_files,
            crl_files,
            ticket_keys,
            kept,
        }
    }

    fn crt_list(&mut self, name: &str) -> Result<Arc<List>, Vec<String>> {
        if let Some(list) = self.lists.get(name) {
            return Ok(list.clone());
        }
        let unreadable = |e: std::io::Error| {
            vec![format!("'crt-list' : cannot open the file '{name}': {}.", crate::lang::load::reason(&e))]
        };
        let text = self.disk.read(Path::new(name)).map_err(unreadable)?;
        let mut lines = crt_list::parse(name, &text)?;
        for line in &mut lines {
            line.crt = self.globals.crt(&line.crt).display().to_string();
        }
        let last = text.iter().filter(|byte| **byte == b'\n').count();
        Ok(self.keep_list(List { name: name.to_owned(), lines, last }))
    }

    fn keep_list(&mut self, read: List) -> Arc<List> {
        let name = read.name.clone();
        let list = kept::take(&mut self.kept.lists, &name, &Arc::new(read), |file, read| file == read);
        self.lists.insert(name, list.clone());
        list
    }

    fn directory(&mut self, name: &str, path: &Path) -> Option<Arc<List>> {
        let trimmed = name.trim_end_matches('/');
        if let Some(list) = self.lists.get(trimmed) {
            return Some(list.clone());
        }
        if name.starts_with('@') || self.certificates.contains_key(name) {
            return None;
        }
        let mut files = self.disk.list(path).ok()?;
        files.retain(|file| {
            !file.starts_with('.') && !NOT_CERTIFICATES.iter().any(|extension| file.ends_with(extension))
        });
        files.sort();
        let line = |(n, file): (usize, &String)| Line {
            number: n + 1,
            crt: format!("{trimmed}/{file}"),
            ..Line::default()
        };
        let lines: Vec<Line> = files.iter().enumerate().map(line).collect();
        let last = lines.len();
        Some(self.keep_list(List { name: trimmed.to_owned(), lines, last }))
    }

    /// Reads all of these that were not read yet, on as many threads as there are cores.
    pub(super) fn load(&mut self, names: impl IntoIterator<Item = String>, told: &mut Told) {
        let mut known = HashSet::new();
        let names: Vec<String> = names
            .into_iter()
            .filter(|name| !self.certificates.contains_key(name) && known.insert(name.clone()))
            .collect();
        let seen = (names.len() > FEW).then(|| self.seen(&names)).flatten();
        let exists = seen.as_ref().map(|seen| move |path: &Path| seen.contains(path));
        let exists = exists.as_ref().map(|exists| exists as &dyn Fn(&Path) -> bool);
        let found = if names.len() > FEW {
            let done: Mutex<Vec<(usize, Loaded)>> = Mutex::new(Vec::with_capacity(names.len()));
            let next = AtomicUsize::new(0);
            let (disk, globals, now_s) = (self.disk, &self.globals, self.now_s);
            let seen = seen.as_ref();
            let work = || {
                let exists = seen.map(|seen| move |path: &Path| seen.contains(path));
                let exists = exists.as_ref().map(|exists| exists as &dyn Fn(&Path) -> bool);
                let mut own = Vec::new();
                while let Some((at, name)) = at_of(&names, next.fetch_add(1, Ordering::Relaxed)) {
                    own.push((at, load_one(disk, globals, name, exists, now_s)));
                }
                done.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
            };
            let threads = std::thread::available_parallelism().map_or(1, usize::from).min(names.len());
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(work);
                }
                work();
            });
            let mut found = done.into_inner().unwrap_or_else(PoisonError::into_inner);
            found.sort_by_key(|(at, _)| *at);
            found.into_iter().map(|(_, loaded)| loaded).collect()
        } else {
            let one = |name: &String| load_one(self.disk, &self.globals, name, exists, self.now_s);
            names.iter().map(one).collect::<Vec<_>>()
        };
        for (name, (mut materials, of)) in names.into_iter().zip(found) {
            match kept::made(&self.kept.certificates, &name) {
                Some(made) if materials.is_empty() => materials.push(made),
                _ => {
                    told.append(of);
                    for material in &mut materials {
                        let own = material.name.to_string();
                        *material = kept::take(&mut self.kept.certificates, &own, material, kept::is_same);
                    }
                }
            }
            self.certificates.insert(name, materials);
        }
    }

    /// What the directories of these files hold; `None` if one cannot be looked into.
    fn seen(&self, names: &[String]) -> Option<HashSet<PathBuf>> {
        let directories: HashSet<&Path> = names.iter().filter_map(|name| Path::new(name).parent()).collect();
        let mut seen = HashSet::new();
        for directory in directories {
            let at = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            seen.extend(self.disk.list(at).ok()?.into_iter().map(|name| directory.join(name)));
        }
        Some(seen)
    }

    /// What was loaded under a name.
    pub(super) fn certificates(&self, name: &str) -> &[Arc<Material>] {
        self.certificates.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Puts another certificate in place of one that was loaded.
    pub(super) fn put(&mut self, material: &Arc<Material>) {
        let replace = |of: &mut Vec<Arc<Material>>| {
            let same = of.iter_mut().find(|of| of.name == material.name);
            same.map(|of| *of = material.clone())
        };
        if self.certificates.values_mut().find_map(replace).is_none() {
            self.certificates.insert(material.name.to_string(), vec![material.clone()]);
        }
    }

    /// Forgets one that was made by a command.
    pub(super) fn forget(&mut self, name: &str) {
        self.certificates.remove(name);
    }

    /// All that was loaded, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Material>> {
        self.certificates.values().flatten()
    }

    /// A file of authorities; `None` for those of the system.
    pub(super) fn ca_file(&mut self, name: &str) -> Result<Option<Arc<CaFile>>, String> {
        if name == SYSTEM_CA {
            return Ok(None);
        }
        let path = self.globals.ca(name);
        let name = path.display().to_string();
        if let Some(file) = self.ca_files.get(&name) {
            return Ok(Some(file.clone()));
        }
        let file = match CaFile::read(self.disk, &name, &path) {
            Ok(read) => {
                let is_same = |file: &Arc<CaFile>, read: &Arc<CaFile>| file.certificates == read.certificates;
                kept::take(&mut self.kept.ca_files, &name, &Arc::new(read), is_same)
            }
            Err(why) => kept::made(&self.kept.ca_files, &name).ok_or(why)?,
        };
        self.ca_files.insert(name, file.clone());
        Ok(Some(file))
    }

    pub(super) fn ca_files(&mut self) -> &mut HashMap<String, Arc<CaFile>> {
        &mut self.ca_files
    }

    /// A file of revocations, which may hold authorities instead, as OpenSSL lets it.
    pub(super) fn crl_file(&mut self, name: &str) -> Result<Arc<CrlFile>, String> {
        let path = self.globals.ca(name);
        let name = path.display().to_string();
        if let Some(file) = self.crl_files.get(&name) {
            return Ok(file.clone());
        }
        let unreadable = |e: std::io::Error| {
            format!("'crl-file' : unable to load {name}: {}.", crate::lang::load::reason(&e))
        };
        let file = match self.disk.read(&path).map_err(unreadable) {
            Ok(text) => {
                let read = CrlFile::parse(&name, &text)
                    .map_err(|e| format!("'crl-file' : unable to load {name}: {e}."))?;
                let is_same = |file: &Arc<CrlFile>, read: &Arc<CrlFile>| file.lists == read.lists;
                kept::take(&mut self.kept.crl_files, &name, &Arc::new(read), is_same)
            }
            Err(why) => kept::made(&self.kept.crl_files, &name).ok_or(why)?,
        };
        self.crl_files.insert(name, file.clone());
        Ok(file)
    }

    pub(super) fn crl_files(&mut self) -> &mut HashMap<String, Arc<CrlFile>> {
        &mut self.crl_files
    }

    pub(super) fn keys_of_tickets(&mut self, name: &str) -> Result<Arc<TicketKeys>, String> {
        if let Some((_, keys)) = self.ticket_keys.iter().find(|(of, _)| of == name) {
            return Ok(keys.clone());
        }
        let unreadable = |e: std::io::Error| {
            format!("unable to load ssl tickets keys file '{name}': {}.", crate::lang::load::reason(&e))
        };
        let text = self.disk.read(Path::new(name)).map_err(unreadable)?;
        let mut keys = TicketKeys::parse(name, &text).map_err(|e| format!("{e}."))?;
        let before = self.kept.ticket_keys.iter().find(|(of, _)| of == name);
        if let Some((_, before)) = before.filter(|(_, before)| before.is_of_file_of(&keys)) {
            keys = before.clone();
        }
        self.ticket_keys.push((name.to_owned(), keys.clone()));
        Ok(keys)
    }
}

/// Where there are no files.
struct Nowhere;

impl Disk for Nowhere {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &Path) -> std::io::Result<Vec<String>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

type Loaded = (Vec<Arc<Material>>, Told);

fn at_of(names: &[String], at: usize) -> Option<(usize, &String)> {
    names.get(at).map(|name| (at, name))
}

/// Reads a certificate, or the halves of a bundle where there is no file of that name.
fn load_one(disk: &dyn Disk, globals: &Globals, name: &str, seen: material::Seen<'_>, now_s: i64) -> Loaded {
    let is_there = |path: &str| match seen {
        Some(seen) => seen(Path::new(path)),
        None => disk.read(Path::new(path)).is_ok(),
    };
    let is_bundle = globals.extra.contains(ExtraFiles::BUNDLE)
        && !name.starts_with('@')
        && !is_there(name)
        && HALVES.iter().any(|half| is_there(&format!("{name}.{half}")));
    if !is_bundle {
        let (loaded, told) = material::load(disk, globals, name, seen, now_s);
        return (loaded.into_iter().collect(), told);
    }
    let (mut found, mut told) = (Vec::new(), Told::default());
    for name in HALVES.map(|half| format!("{name}.{half}")).iter().filter(|name| is_there(name)) {
        let (loaded, of) = material::load(disk, globals, name, seen, now_s);
        found.extend(loaded);
        told.append(of);
    }
    (found, told)
}
