//! Disks of nodes that hang or fill up: a file system of its own for each, on a loop device. Needs root.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use crate::support::program;

const MIB: u64 = 1 << 20;
/// Of each disk; what a node writes in a trial is far less.
const SIZE: u64 = 64 * MIB;
/// What [`Disk::fill`] puts there.
const BALLAST: &str = "ballast";

/// Mounts, does as it is told, and puts all in order once nobody is there any more to tell it something, however that
/// came: a file system that stays frozen holds up the machine.
const KEEPER: &str = r#"
mount -o loop "$0" "$1" || exit 1
echo mounted
while read -r word; do
    case $word in
        hang) fsfreeze -f "$1" && echo hangs || echo failed ;;
        thaw) fsfreeze -u "$1" 2>/dev/null; echo works ;;
    esac
done
fsfreeze -u "$1" 2>/dev/null
rm -f "$1/ballast"
umount "$1" 2>/dev/null || umount -l "$1"
"#;

/// A mounted file system; it works again and is gone on drop.
pub struct Disk {
    mount: PathBuf,
    keeper: Child,
    line: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Disk {
    /// Mounts a new file system on the directory, which is made; None where this machine has no such thing.
    pub fn at(mount: &Path) -> Option<Disk> {
        let needed = ["losetup", "mkfs.ext4", "fsfreeze", "mount", "umount"];
        if !program::is_root() || !needed.iter().all(|name| program::installed(name)) {
            return None;
        }
        // In memory where that can be: what else the machine writes is not to hold up this disk.
        let memory = Some(Path::new("/dev/shm")).filter(|dir| dir.is_dir());
        let image = tempfile::NamedTempFile::new_in(memory.unwrap_or_else(|| Path::new("/tmp"))).ok()?;
        image.as_file().set_len(SIZE).ok()?;
        std::fs::create_dir_all(mount).ok()?;
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-m", "0", "-O", "^has_journal"])
            .arg(image.path())
            .status();
        made.ok().filter(|status| status.success())?;
        let mut keeper = Command::new("/bin/sh");
        keeper.arg("-c").arg(KEEPER).arg(image.path()).arg(mount);
        // What ends the test and all that it started, Ctrl-C or a runner of tests, must not end this.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().ok()?;
        let line = keeper.stdin.take().zip(keeper.stdout.take().map(BufReader::new));
        let disk = Disk { mount: mount.to_owned(), keeper, line: Mutex::new(line) };
        // The file has no name any more from here on, so that it goes away with the loop device.
        (disk.answer().as_deref() == Some("mounted")).then_some(disk)
    }

    fn answer(&self) -> Option<String> {
        let mut line = self.line.lock().unwrap_or_else(|e| e.into_inner());
        let mut text = String::new();
        line.as_mut()?.1.read_line(&mut text).ok()?;
        Some(text.trim().to_owned())
    }

    fn tell(&self, word: &str) -> Option<String> {
        if let Some((to, _)) = self.line.lock().unwrap_or_else(|e| e.into_inner()).as_mut() {
            writeln!(to, "{word}").ok()?;
        }
        self.answer()
    }

    /// Whoever writes from now on waits.
    pub fn hang(&self) {
        let said = self.tell("hang");
        assert_eq!(said.as_deref(), Some("hangs"), "{} cannot be frozen", self.mount.display());
    }

    /// Nobody waits any more.
    pub fn thaw(&self) {
        let _ = self.tell("thaw");
    }

    /// Takes all the room there is.
    pub fn fill(&self) {
        let Ok(mut file) = std::fs::File::create(self.mount.join(BALLAST)) else { return };
        for piece in [&[0_u8; 65_536][..], &[0; 512]] {
            // The file system is small, so this ends; it is an error that ends it.
            while file.write_all(piece).is_ok() {}
        }
    }

    pub fn empty(&self) {
        let _ = std::fs::remove_file(self.mount.join(BALLAST));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.thaw();
        // With its end the keeper knows that it is time to go.
        drop(self.line.lock().unwrap_or_else(|e| e.into_inner()).take());
        let _ = self.keeper.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_fills_hangs_and_goes_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let mount = dir.path().join("n0");
        let Some(disk) = Disk::at(&mount) else {
            return program::skipped("region::disks", "no loop devices with file systems");
        };
        let mounted = || {
            let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the mounts");
            mounts.contains(&*mount.to_string_lossy())
        };
        assert!(mounted());
        disk.fill();
        let write = |text: &[u8]| std::fs::write(mount.join("file"), text);
        let full = write(&[1; 70_000]).expect_err("no room");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        disk.empty();
        write(b"text").expect("room again");
        disk.hang();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| write(b"late"));
            std::thread::sleep(std::time::Duration::from_millis(300));
            let waited = !waits.is_finished();
            disk.thaw();
            waits.join().expect("no panic").expect("written in the end");
            assert!(waited, "the disk does not hang");
        });
        disk.hang();
        drop(disk);
        assert!(!mounted(), "it is gone, though it hung");
    }
}
