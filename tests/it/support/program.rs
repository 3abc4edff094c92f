//! Which binaries the tests drive.
//!
//! `ISOBAR_BIN` replaces the binary under test: every test is first proved with `ISOBAR_BIN=/usr/sbin/haproxy`.
//! `ISOBAR_HAPROXY` replaces the HAProxy that `diff` compares with.

use std::path::{Path, PathBuf};

/// The program under test.
pub fn under_test() -> PathBuf {
    std::env::var_os("ISOBAR_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_isobar")), PathBuf::from)
}

/// True when the program under test is a real HAProxy: rows may then carry HAProxy's own verdict.
pub fn is_haproxy() -> bool {
    under_test().file_name().is_some_and(|name| name.to_string_lossy().starts_with("haproxy"))
}

/// A real HAProxy to compare with, if this machine has one.
pub fn haproxy() -> Option<PathBuf> {
    let path =
        std::env::var_os("ISOBAR_HAPROXY").map_or_else(|| PathBuf::from("/usr/sbin/haproxy"), PathBuf::from);
    path.exists().then_some(path)
}

/// True when a program of this name is in `PATH`.
pub fn installed(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// True for root, which network namespaces and ports below 1024 need.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says loudly that a test did not run, also in the file `ISOBAR_SKIPPED`, which `scripts/test` shows at its end.
pub fn skipped(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    if let Some(path) = std::env::var_os("ISOBAR_SKIPPED") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = file
            .and_then(|mut file| std::io::Write::write_all(&mut file, format!("{test}: {why}\n").as_bytes()));
    }
}

/// The root of the source tree.
pub fn tree() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
