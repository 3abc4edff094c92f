//! The files in `conf/`: each passes the program's own check, as whoever starts from one expects.

use std::path::Path;
use std::process::Command;

use crate::support::program::under_test;

#[test]
fn every_shipped_file_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let entries = std::fs::read_dir(folder).expect("the folder");
    let files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cfg"))
        .collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let told = Command::new(under_test()).arg("-c").arg("-f").arg(&file).output().expect("it runs");
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success() && !said.contains("[ALERT]"), "{}: {said}", file.display());
    }
}
