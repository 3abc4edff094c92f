//! What must be known of a configuration before it is built, found in one pass over its lines.

use std::path::PathBuf;

use crate::base::shard::MAX_WORKERS;
use crate::lang::Section;
use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::os::limits::{FdLimit, Wanted};
use crate::os::process;

/// What the lines say; where a word is repeated the last one holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// `nbthread`
    threads: Option<usize>,
    /// `ulimit-n`, `fd-hard-limit` and `maxpipes`: what descriptors are kept for.
    pub limits: Wanted,
    /// `data-dir` of the `region-map` section.
    pub data_dir: Option<PathBuf>,
    /// `watch-config`
    pub watch: bool,
    /// Number of `bind` lines.
    binds: u64,
}

impl Preview {
    pub fn of(sections: &[Section]) -> Preview {
        let mut preview = Preview::default();
        preview.limits.pipes = Some(0);
        for section in sections {
            for line in &section.lines {
                match (section.kind(), line.str(0)) {
                    ("global", word) => preview.global(word, line.str(1)),
                    ("region-map", "data-dir") => preview.data_dir = Some(PathBuf::from(line.str(1))),
                    (_, "bind") => preview.binds += 1,
                    _ => {}
                }
            }
        }
        preview.limits.fixed = 100 + 2 * preview.binds;
        preview
    }

    /// A number that is none is complained about by the build.
    fn global(&mut self, word: &str, argument: &str) {
        if is_void(Kind::Global, word) {
            return;
        }
        self.watch |= word == "watch-config";
        let Ok(number) = argument.parse::<u64>() else { return };
        match word {
            "nbthread" => self.threads = usize::try_from(number).ok(),
            "ulimit-n" => self.limits.descriptors = Some(number),
            "fd-hard-limit" => self.limits.fd_hard_limit = Some(number),
            "maxpipes" => self.limits.pipes = Some(number),
            _ => {}
        }
    }

    /// Number of data workers: `nbthread`, else one a core. Known before the build, which makes a shard for each.
    pub fn workers(&self) -> usize {
        self.threads.unwrap_or_else(|| process::cpus().len()).clamp(1, MAX_WORKERS)
    }

    /// The connection limit that the process will give itself, as far as can be told before the build: `fullconn`
    /// follows from it.
    pub fn expected_maxconn(&self) -> u32 {
        u32::try_from(self.limits.budget(FdLimit::current()).maxconn).unwrap_or(u32::MAX)
    }
}
