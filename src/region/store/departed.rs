//! A `data-dir` of a node that left its cluster for good: what it knew of the cluster goes away at the next start.

use std::io;
use std::path::Path;

/// Says that the node left.
const MARK: &str = "departed";

/// To be said once the others know, or are not to know.
pub fn mark(dir: &Path) -> io::Result<()> {
    super::snapshot::write_private(&dir.join(MARK), b"")
}

/// Erases the store, the snapshots, key and certificates of a node that left. Whether there was anything to do.
pub fn clear(dir: &Path) -> io::Result<bool> {
    if !dir.join(MARK).exists() {
        return Ok(false);
    }
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ours = name.starts_with("region.")
            || name.ends_with(".snapshot")
            || ["member.key", "member.pem", "authority.pem", "manager.keys", "roots.pem", "cross.pem"]
                .contains(&name);
        if ours {
            std::fs::remove_file(&path)?;
        }
    }
    tracing::info!("region map: {} is of a node that left its cluster: it begins anew", dir.display());
    // Last, so that what stops half-way goes on.
    std::fs::remove_file(dir.join(MARK))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_knew_goes_away_once_it_left_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["region.redb", "region.format", "7.snapshot", "member.key", "member.pem", "copy.cfg"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        assert!(!clear(dir.path()).unwrap());
        assert!(dir.path().join("region.redb").exists());
        mark(dir.path()).unwrap();
        assert!(clear(dir.path()).unwrap());
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["copy.cfg"]);
        assert!(!clear(dir.path()).unwrap());
    }
}
