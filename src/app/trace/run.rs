//! The commands.

use std::path::Path;
use std::sync::Arc;

use crate::base::{WorkerId, clock};
use crate::config::Config;
use crate::lang::source::SourceMap;
use crate::os::opener::Opener;
use crate::rt::Rt;

use super::super::args::Args;
use super::super::messages::Messages;
use super::super::program::{Program, Start};
use super::asked::{Asked, Trial};
use super::expect::differs;
use super::play::play;
use super::script::Script;
use super::{json, text};

/// The number of the only worker.
const WORKER: WorkerId = WorkerId(1);

/// Reads configurations.
struct Reader<P> {
    program: P,
    opener: Opener,
    messages: Messages,
}

impl<P: Program> Reader<P> {
    fn new(program: P) -> Reader<P> {
        let messages = Messages::default();
        messages.need_no_introduction();
        Reader { program, opener: Opener::default(), messages }
    }

    /// The configuration, anew: nothing in it was ever used. `None`: it cannot be, which was said.
    fn read(&mut self, args: &Args) -> Option<(Arc<Config>, SourceMap)> {
        let start = Start { args, opener: &self.opener, messages: &self.messages };
        let read = self.program.rehearse(&start);
        // What there is to say of it is said once.
        self.messages.set_quiet(true);
        read
    }
}

fn begin() -> Result<&'static Rt, String> {
    Rt::begin_by_hand(WORKER, clock::now_ns()).map_err(|e| format!("cannot begin: {e}"))
}

/// `isobar trace`: what it prints, or what is wrong; an empty error was said already.
pub fn trace(program: impl Program, asked: &Asked) -> Result<String, String> {
    let args = Args { files: asked.files.clone(), legacy: asked.legacy, is_ours: true, ..Args::default() };
    let (config, sources) = Reader::new(program).read(&args).ok_or("")?;
    let course = play(begin()?, &config, &asked.request)?;
    Ok(match asked.json {
        true => json::json(&course, &config, &sources),
        false => text::text(&course, &config, &sources),
    })
}

/// The configuration that a script is about.
fn args(script: &Script, trial: &Trial, path: &Path) -> Result<Args, String> {
    let files = if trial.files.is_empty() { &script.files } else { &trial.files };
    if files.is_empty() {
        let form = "a line 'config <file>' or the option -f names it";
        return Err(format!("{}: which configuration? {form}", path.display()));
    }
    let legacy = trial.legacy || script.legacy;
    Ok(Args { files: files.clone(), legacy, is_ours: true, ..Args::default() })
}

/// `isobar test`: tells a line for each expectation, and says whether all hold.
pub fn test(program: impl Program, trial: &Trial, mut tell: impl FnMut(&str)) -> Result<bool, String> {
    let (mut count, mut failed) = (0, 0);
    let rt = begin()?;
    let mut reader = Reader::new(program);
    for path in &trial.scripts {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let script = Script::parse(path, &text)?;
        let args = args(&script, trial, path)?;
        reader.messages.set_quiet(false);
        for case in &script.cases {
            let (config, _) = reader.read(&args).ok_or("")?;
            let placed = |e| format!("{}:{}: {e}", path.display(), case.line);
            let course = play(rt, &config, &case.request).map_err(placed)?;
            for expectation in &case.expectations {
                count += 1;
                let line = format!("{}:{}: {}", path.display(), expectation.line, expectation.text);
                match differs(&expectation.expected, &course) {
                    None => tell(&format!("ok    {line}")),
                    Some(instead) => {
                        failed += 1;
                        tell(&format!("FAIL  {line}: {instead}"));
                    }
                }
            }
        }
    }
    tell(&format!("{count} expectations, {failed} failed"));
    Ok(failed == 0)
}
