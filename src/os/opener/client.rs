//! The side that asks: one handle for the whole program, with or without a privileged process behind it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::message::{FileStat, Message, Policy, Reply, Report, Request};
use super::server::{self, Key, Server};
use super::wire;
use crate::os::bind::{BindSpec, SocketKind, connect_path, remove_socket};
use crate::os::{identity, watch};

/// Opens files, binds sockets and connects to local ones: by itself while no privileged process stands behind it
/// (see [`Opener::attach`]), through that one afterwards. Clones share it. Every call blocks; asynchronous code uses
/// its blocking pool.
#[derive(Clone, Debug, Default)]
pub struct Opener {
    inner: Arc<Inner>,
}

/// The metric that counts requests by kind.
pub const REQUESTS: &str = "isobar_opener_requests_total";

#[derive(Debug, Default)]
struct Inner {
    link: OnceLock<Mutex<OwnedFd>>,
    memory: Memory,
}

/// What was asked for before there was a privileged process.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashSet<Key>>);

impl Memory {
    pub(super) fn keys(&self) -> HashSet<Key> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, request: Request) {
        let Ok(current) = std::env::current_dir() else { return };
        if let Ok(request) = request.normal(&current) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(Key::of(&request));
        }
    }
}

/// The two ends of a socketpair that is to be split by a fork.
pub struct Ends {
    privileged: OwnedFd,
    asking: OwnedFd,
}

impl Opener {
    /// To be called before the fork; afterwards one side calls [`Opener::serve`], the other [`Opener::attach`].
    pub fn ends() -> io::Result<Ends> {
        let (privileged, asking) = wire::pair()?;
        Ok(Ends { privileged, asking })
    }

    /// In the process that keeps its privileges: the server, which grants what was asked for until now, whatever is
    /// asked before the seal, and what `policy` grants.
    pub fn serve<P: Policy>(&self, ends: Ends, policy: P) -> io::Result<Server<P>> {
        Server::new(ends.privileged, policy, &self.inner.memory)
    }

    /// In the process that will give them up: from now on every request goes to the other one.
    pub fn attach(&self, ends: Ends) {
        let _ = self.inner.link.set(Mutex::new(ends.asking));
    }

    /// Whether requests go to another process.
    pub fn is_remote(&self) -> bool {
        self.inner.link.get().is_some()
    }

    /// Tells the privileged process to grant from now on only what it knows and what its policy grants. `uid` is the
    /// user that this process becomes. Nothing without a privileged process.
    pub fn seal(&self, uid: Option<u32>) -> io::Result<()> {
        match self.inner.link.get() {
            Some(_) => self.ask(&Message::Seal { uid }).map(drop),
            None => Ok(()),
        }
    }

    /// Sends a report to the master; false when there is none or it is gone.
    pub fn report(&self, report: Report) -> bool {
        let Some(link) = self.inner.link.get() else { return false };
        let socket = link.lock().unwrap_or_else(PoisonError::into_inner);
        wire::send(socket.as_fd(), &Message::Report(report), None).is_ok()
    }

    /// A file to read.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        match self.remote(|| Request::Open(path.into()))? {
            Some((_, fd)) => descriptor(fd).map(File::from),
            None => File::open(path),
        }
    }

    /// The content of a file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The names in a directory, sorted as in the C locale. Names that are not UTF-8 are left out.
    pub fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let after = names.last().cloned();
            let Some((reply, _)) = self.remote(|| Request::List { path: path.into(), after })? else {
                for entry in std::fs::read_dir(path)? {
                    names.extend(entry?.file_name().into_string());
                }
                names.sort_unstable();
                return Ok(names);
            };
            if reply.names.is_empty() {
                return Ok(names);
            }
            names.extend(reply.names);
        }
    }

    /// The regular files in a directory, or `None` when the path is no directory: what `lang::load` asks for.
    pub fn list_files(&self, path: &Path) -> io::Result<Option<Vec<String>>> {
        if !self.stat(path)?.is_dir {
            return Ok(None);
        }
        let mut names = self.list(path)?;
        let mut failed = None;
        names.retain(|name| match self.stat(&path.join(name)) {
            Ok(stat) => !stat.is_dir,
            Err(e) => {
                failed.get_or_insert(e);
                false
            }
        });
        failed.map_or(Ok(Some(names)), Err)
    }

    pub fn stat(&self, path: &Path) -> io::Result<FileStat> {
        match self.remote(|| Request::Stat(path.into()))? {
            Some((reply, _)) => reply.stat.ok_or_else(no_answer),
            None => {
                use std::os::unix::fs::MetadataExt;
                let meta = std::fs::metadata(path)?;
                let seconds = u64::try_from(meta.mtime()).unwrap_or(0);
                let nanos = u32::try_from(meta.mtime_nsec()).unwrap_or(0);
                Ok(FileStat {
                    is_dir: meta.is_dir(),
                    len: meta.len(),
                    modified: std::time::Duration::new(seconds, nanos),
                    inode: meta.ino(),
                })
            }
        }
    }

    /// A descriptor that tells what happens in directories: what `os::watch` reads.
    pub fn watch(&self, directories: &[PathBuf]) -> io::Result<OwnedFd> {
        match self.remote(|| Request::Watch(directories.to_vec()))? {
            Some((_, fd)) => descriptor(fd),
            None => watch::directories(directories),
        }
    }

    /// A bound socket; listening is left to the caller, except for unix stream sockets.
    pub fn bind(&self, spec: &BindSpec) -> io::Result<OwnedFd> {
        match self.remote(|| Request::Bind(spec.clone()))? {
            Some((_, fd)) => descriptor(fd),
            None => spec.bind(),
        }
    }

    /// A non-blocking socket connected to a unix socket, such as `/dev/log`.
    pub fn connect(&self, path: &Path, kind: SocketKind) -> io::Result<OwnedFd> {
        match self.remote(|| Request::Connect { path: path.into(), kind })? {
            Some((_, fd)) => descriptor(fd),
            None => connect_path(path, kind),
        }
    }

    /// Removes the file of a unix socket that was bound; no error when it is gone already.
    pub fn unlink(&self, path: &Path) -> io::Result<()> {
        match self.remote(|| Request::Unlink(path.into()))? {
            Some(_) => Ok(()),
            None => remove_socket(path),
        }
    }

    /// The id of a user, by name or number.
    pub fn user(&self, name: &str) -> io::Result<u32> {
        match self.remote(|| Request::User(name.into()))? {
            Some((reply, _)) => reply.id.ok_or_else(no_answer),
            None => identity::user(name),
        }
    }

    /// The id of a group, by name or number.
    pub fn group(&self, name: &str) -> io::Result<u32> {
        match self.remote(|| Request::Group(name.into()))? {
            Some((reply, _)) => reply.id.ok_or_else(no_answer),
            None => identity::group(name),
        }
    }

    /// The addresses of a host by the system's resolver (`libc` in `init-addr`). Takes as long as that.
    pub fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self.remote(|| Request::Resolve(name.into()))? {
            Some((reply, _)) => Ok(reply.addresses),
            None => server::resolve(name),
        }
    }

    /// The other process's answer, or `None` when there is none and the caller has to do it by itself.
    fn remote(&self, request: impl FnOnce() -> Request) -> io::Result<Option<(Reply, Option<OwnedFd>)>> {
        let request = request();
        metrics::counter!(REQUESTS, "kind" => request.kind()).increment(1);
        if self.is_remote() {
            return self.ask(&Message::Request(request)).map(Some);
        }
        self.inner.memory.add(request);
        Ok(None)
    }

    fn ask(&self, message: &Message) -> io::Result<(Reply, Option<OwnedFd>)> {
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the privileged process is gone");
        let link = self.inner.link.get().ok_or_else(gone)?;
        let socket = link.lock().unwrap_or_else(PoisonError::into_inner);
        wire::send(socket.as_fd(), message, None)?;
        let (mut reply, fd) = wire::recv::<Reply>(socket.as_fd(), true)?.ok_or_else(gone)?;
        match reply.error.take() {
            Some(failure) => Err(failure.into()),
            None => Ok((reply, fd)),
        }
    }
}

fn no_answer() -> io::Error {
    io::Error::other("the opener gave no answer")
}

fn descriptor(fd: Option<OwnedFd>) -> io::Result<OwnedFd> {
    fd.ok_or_else(|| io::Error::other("the opener sent no descriptor"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    struct Only(PathBuf);

    impl Policy for Only {
        fn permits(&mut self, request: &Request) -> bool {
            request.path().is_some_and(|path| path.starts_with(&self.0))
        }
    }

    /// A server on a thread: the same code as in a process of its own.
    fn remote(policy: Only, before: impl FnOnce(&Opener)) -> (Opener, std::thread::JoinHandle<()>) {
        let opener = Opener::default();
        before(&opener);
        let (privileged, asking) = wire::pair().unwrap();
        let mut server = Server::new(privileged, policy, &opener.inner.memory).unwrap();
        let thread = std::thread::spawn(move || server.run());
        opener.inner.link.set(Mutex::new(asking)).unwrap();
        (opener, thread)
    }

    #[test]
    fn the_seal_keeps_what_was_known_and_what_the_policy_grants() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["early", "late", "other"] {
            std::fs::write(at(name), name).unwrap();
        }
        std::fs::create_dir(at("ssl")).unwrap();
        std::fs::write(at("ssl/a.pem"), "a").unwrap();
        let (opener, thread) =
            remote(Only(at("ssl")), |o| assert_eq!(o.read(&at("early")).unwrap(), b"early"));
        assert_eq!(opener.read(&at("late")).unwrap(), b"late");
        opener.seal(Some(65_534)).unwrap();

        assert_eq!(opener.read(&at("early")).unwrap(), b"early");
        assert_eq!(opener.read(&at("late")).unwrap(), b"late");
        assert_eq!(opener.read(&at("ssl/a.pem")).unwrap(), b"a");
        assert_eq!(opener.list(&at("ssl")).unwrap(), ["a.pem"]);
        assert_eq!(opener.list_files(&at("ssl")).unwrap().unwrap(), ["a.pem"]);
        assert!(opener.stat(&at("ssl")).unwrap().is_dir);
        let refused = opener.read(&at("other")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(refused.to_string().contains("not named by the configuration"), "{refused}");
        assert!(opener.read(&at("ssl/../other")).is_err());
        assert_eq!(opener.user("root").unwrap(), 0);
        assert!(opener.group("no-such-group").is_err());
        assert!(opener.resolve("localhost").unwrap().iter().all(IpAddr::is_loopback));
        assert_eq!(opener.read(&at("ssl/none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(opener.bind(&BindSpec::tcp("127.0.0.1:0".parse().unwrap())).is_err());
        assert!(opener.bind(&BindSpec::unix(at("ssl/a.pem"))).is_err());
        drop(opener);
        thread.join().unwrap();
    }

    #[test]
    fn sockets_come_over_the_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (opener, thread) = remote(Only(dir.path().into()), |_| {});
        let tcp = BindSpec::tcp("127.0.0.1:0".parse().unwrap());
        assert!(opener.bind(&tcp).is_ok());
        opener.seal(None).unwrap();
        assert!(opener.bind(&tcp).is_ok());
        let listener = opener.bind(&BindSpec::unix(&path)).unwrap();
        let client = opener.connect(&path, SocketKind::Stream).unwrap();
        let (_server, _) = crate::os::socket::accept(listener.as_raw_fd()).unwrap();
        drop(client);
        assert!(opener.report(Report::Alive));
        opener.unlink(&path).unwrap();
        assert!(!path.exists());
        drop(opener);
        thread.join().unwrap();
    }

    #[test]
    fn links_of_the_untrusted_user_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let _docker = BindSpec::unix(at("docker.sock")).bind().unwrap();
        std::fs::create_dir(at("etc")).unwrap();
        std::os::unix::fs::symlink("docker.sock", at("log")).unwrap();
        std::os::unix::fs::symlink("etc", at("run")).unwrap();
        let (opener, thread) = remote(Only(dir.path().into()), |_| {});
        opener.connect(&at("log"), SocketKind::Stream).unwrap();
        opener.seal(Some(nix::unistd::geteuid().as_raw())).unwrap();
        assert!(opener.connect(&at("log"), SocketKind::Stream).is_err());
        opener.connect(&at("docker.sock"), SocketKind::Stream).unwrap();
        assert!(opener.bind(&BindSpec::unix(at("run/s"))).is_err());
        opener.bind(&BindSpec::unix(at("etc/s"))).unwrap();
        assert!(opener.unlink(&at("run/s")).is_err());
        opener.unlink(&at("etc/s")).unwrap();
        assert!(opener.open(Path::new("/dev/null")).is_err());
        drop(opener);
        thread.join().unwrap();
    }

    #[test]
    fn a_long_directory_comes_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..1500 {
            std::fs::write(dir.path().join(format!("a-rather-long-name-of-a-certificate-{i:05}.pem")), "")
                .unwrap();
        }
        let (opener, thread) = remote(Only(dir.path().into()), |_| {});
        assert_eq!(opener.list(dir.path()).unwrap().len(), 1500);
        drop(opener);
        thread.join().unwrap();
        assert!(!Opener::default().is_remote());
    }
}
