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
                    ("region-map", "http-api") => preview.limits.api = true,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::condition::Facts;
    use crate::lang::env::Env;
    use crate::lang::load::{Input, LoadOptions, load};

    fn preview(text: &str) -> Preview {
        let facts = Facts::default();
        let options = LoadOptions::new(&facts, Env::default(), &["global", "frontend", "region-map"]);
        let input = Input::Text { name: "t".into(), text: text.into() };
        Preview::of(&load(&[input], options).sections)
    }

    #[test]
    fn the_last_word_holds_where_it_belongs() {
        let seen = preview(
            "global\n nbthread 3\n nbthread 2\nfrontend f\n nbthread 7\n bind :1\n data-dir /no\n\
             region-map\n data-dir /a\n bind :2\n",
        );
        assert_eq!((seen.workers(), seen.watch, seen.limits.fixed), (2, false, 104));
        assert_eq!(seen.data_dir, Some("/a".into()));
        assert!(preview("global\n watch-config\n").watch);
    }

    #[test]
    fn connections_follow_from_the_most_descriptors() {
        let seen = preview("global\n fd-hard-limit 900\nfrontend f\n bind :1\n");
        let boot = FdLimit { soft: 1024, hard: 1024 };
        assert_eq!(seen.limits.budget(boot).maxconn, (900 - 102) / 2);
    }
}
