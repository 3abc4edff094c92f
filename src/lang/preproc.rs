//! Conditional blocks: which lines count, and the directives that print messages (manual section 2.4).

use super::condition::{self, Facts};
use super::diag::{Diagnostic, Diagnostics, Frame, Severity};
use super::env::Env;
use super::registry::Kind;
use super::source::{Span, Word};
use super::void::is_void;

/// Deepest nesting of `.if`.
const MAX_NESTED: usize = 99;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Its lines count.
    Taken,
    /// They do not, but a later `.elif` or `.else` may.
    Dropped,
    /// A former block was taken, or the whole nest is inside a dropped one.
    Skipped,
}

#[derive(Clone, Copy)]
struct Level {
    block: Block,
    after_else: bool,
}

/// What is to be done after a line was shown to [`Conditions::directive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An ordinary line, to be read.
    Read,
    /// A directive, or a line of a block that does not count.
    Ignore,
    /// A fault after which nothing more makes sense, or `.alert`.
    Abort,
}

/// The open `.if` blocks of one file.
#[derive(Default)]
pub struct Conditions {
    levels: Vec<Level>,
}

impl Conditions {
    /// Judges one line. `words` is never empty.
    pub fn directive(
        &mut self,
        words: &[Word],
        facts: &Facts,
        env: &Env,
        diagnostics: &mut Diagnostics,
    ) -> Outcome {
        let Some(name) = words.first() else { return Outcome::Ignore };
        let judged = match name.str() {
            void if is_void(Kind::Directive, void) => return Outcome::Ignore,
            ".if" => self.begin(words, facts, env),
            ".elif" => self.otherwise_if(words, facts, env),
            ".else" => self.otherwise(words),
            ".endif" => self.end(words),
            _ if !self.reading() => return Outcome::Ignore,
            ".alert" | ".warning" | ".notice" | ".diag" => return message(words, diagnostics),
            other if other.starts_with('.') => Err(format!("unknown directive '{other}'.")),
            _ => return Outcome::Read,
        };
        match judged {
            Ok(()) => Outcome::Ignore,
            Err(text) => {
                let known = name.str().trim_start_matches('.');
                let lost = matches!(known, "if" | "elif" | "else" | "endif");
                report(diagnostics, Severity::Alert, name.span, text);
                if lost { Outcome::Abort } else { Outcome::Ignore }
            }
        }
    }

    /// Whether ordinary lines count here.
    pub fn reading(&self) -> bool {
        self.levels.last().is_none_or(|level| level.block == Block::Taken)
    }

    /// Blocks still open.
    pub fn depth(&self) -> usize {
        self.levels.len()
    }

    fn begin(&mut self, words: &[Word], facts: &Facts, env: &Env) -> Result<(), String> {
        if self.levels.len() >= MAX_NESTED {
            return Err(format!("too many nested '.if', max is {}.", MAX_NESTED + 1));
        }
        let block = if !self.reading() { Block::Skipped } else { chosen(words, facts, env)? };
        self.levels.push(Level { block, after_else: false });
        Ok(())
    }

    fn otherwise_if(&mut self, words: &[Word], facts: &Facts, env: &Env) -> Result<(), String> {
        let level = self.levels.last_mut().ok_or("lone '.elif' with no matching '.if'.")?;
        if level.after_else {
            return Err("'.elif' after '.else' is not permitted.".into());
        }
        level.block = match level.block {
            Block::Dropped => chosen(words, facts, env)?,
            Block::Taken | Block::Skipped => Block::Skipped,
        };
        Ok(())
    }

    fn otherwise(&mut self, words: &[Word]) -> Result<(), String> {
        no_argument(words)?;
        let level = self.levels.last_mut().ok_or("lone '.else' with no matching '.if'.")?;
        if level.after_else {
            return Err("'.else' after '.else' is not permitted.".into());
        }
        let block = if level.block == Block::Dropped { Block::Taken } else { Block::Skipped };
        *level = Level { block, after_else: true };
        Ok(())
    }

    fn end(&mut self, words: &[Word]) -> Result<(), String> {
        no_argument(words)?;
        self.levels.pop().ok_or("lone '.endif' with no matching '.if'.")?;
        Ok(())
    }
}

/// Evaluates the words after the directive, joined by one space each.
fn chosen(words: &[Word], facts: &Facts, env: &Env) -> Result<Block, String> {
    let expr = words[1..].iter().map(Word::str).collect::<Vec<_>>().join(" ");
    match condition::evaluate(&expr, facts, env) {
        Ok(true) => Ok(Block::Taken),
        Ok(false) => Ok(Block::Dropped),
        Err(error) => {
            let name = words[0].str();
            let column = error.column;
            let caret = " ".repeat(name.len() + column);
            Err(format!("{error} in '{name}' at position {column}:\n  {name} {expr}\n  {caret}^"))
        }
    }
}

fn no_argument(words: &[Word]) -> Result<(), String> {
    match words {
        [name, argument, ..] if !argument.str().is_empty() => {
            Err(format!("Unexpected argument '{}' for '{}'.", argument.str(), name.str()))
        }
        _ => Ok(()),
    }
}

/// `.alert "text"` and its gentler kin.
fn message(words: &[Word], diagnostics: &mut Diagnostics) -> Outcome {
    let name = words[0].str();
    if let Some(extra) = words.get(2).filter(|word| !word.str().is_empty()) {
        let text = format!(
            "Unexpected argument '{}' for '{name}'. Use quotes if the message should contain spaces.",
            extra.str()
        );
        report(diagnostics, Severity::Alert, extra.span, text);
        return Outcome::Ignore;
    }
    let severity = match name {
        ".alert" => Severity::Alert,
        ".warning" => Severity::Warning,
        ".notice" => Severity::Notice,
        _ => Severity::Diag,
    };
    let text = words.get(1).map_or("", Word::str);
    report(diagnostics, severity, words[0].span, format!("'{text}'."));
    if severity == Severity::Alert { Outcome::Abort } else { Outcome::Ignore }
}

fn report(diagnostics: &mut Diagnostics, severity: Severity, span: Span, message: String) {
    let frame = Frame::Line;
    diagnostics.list.push(Diagnostic { severity, span: Some(span), message, hint: None, frame });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ordinary lines that count, and the messages.
    fn run(text: &str) -> (Vec<String>, Vec<String>) {
        let mut conditions = Conditions::default();
        let (mut read, mut diagnostics) = (Vec::new(), Diagnostics::default());
        for line in text.lines() {
            let words: Vec<_> =
                line.split(' ').map(|w| Word::new(w.as_bytes().to_vec(), Span::default())).collect();
            match conditions.directive(&words, &Facts::default(), &Env::default(), &mut diagnostics) {
                Outcome::Read => read.push(line.to_owned()),
                Outcome::Ignore => {}
                Outcome::Abort => break,
            }
        }
        (read, diagnostics.list.into_iter().map(|d| d.message).collect())
    }

    #[test]
    fn one_block_of_a_chain_counts() {
        let chain = |a, b| run(&format!(".if {a}\nx\n.elif {b}\ny\n.else\nz\n.endif\nend")).0;
        assert_eq!(chain(1, 1), ["x", "end"]);
        assert_eq!(chain(0, 1), ["y", "end"]);
        assert_eq!(chain(0, 0), ["z", "end"]);
    }

    #[test]
    fn nests_inside_a_dropped_block_are_not_evaluated() {
        let (read, messages) = run(".if 0\n.if nonsense\na\n.else\nb\n.endif\nc\n.unknown\n.endif\nd");
        assert_eq!(read, ["d"]);
        assert_eq!(messages, [""; 0]);
    }

    #[test]
    fn misuse_is_reported() {
        for (text, expected) in [
            (".else", "lone '.else' with no matching '.if'."),
            (".elif 1", "lone '.elif' with no matching '.if'."),
            (".endif", "lone '.endif' with no matching '.if'."),
            (".if 1\n.else\n.else", "'.else' after '.else' is not permitted."),
            (".if 1\n.else\n.elif 1", "'.elif' after '.else' is not permitted."),
            (".if 1\n.endif x", "Unexpected argument 'x' for '.endif'."),
            (".what", "unknown directive '.what'."),
            (
                ".notice a b",
                "Unexpected argument 'b' for '.notice'. Use quotes if the message should contain spaces.",
            ),
            (
                ".if foo",
                "unparsable conditional expression 'foo' in '.if' at position 1:\n  .if foo\n      ^",
            ),
            (".alert no\n.alert never", "'no'."),
        ] {
            assert_eq!(run(text).1, [expected], "{text}");
        }
        assert_eq!(run(&".if 1\n".repeat(100)).1, ["too many nested '.if', max is 100."]);
    }
}
