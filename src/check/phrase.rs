//! Texts, numbers and values of steps that may be made anew for each check: formats and expressions.

use std::borrow::Cow;
use std::fmt;

use crate::lang::{Diagnostics, Span, Word};
use crate::rules::cast::cast;
use crate::rules::{BuildCtx, Ctx, Expr, LogFormat, LogUse, Sample, SampleType};

/// A text: the same for every check, or a format. Formats compare by what was written.
#[derive(Clone, Debug)]
pub enum Phrase {
    Fixed(Box<[u8]>),
    Made { text: Box<str>, format: LogFormat },
}

impl PartialEq for Phrase {
    fn eq(&self, other: &Phrase) -> bool {
        match (self, other) {
            (Phrase::Fixed(a), Phrase::Fixed(b)) => a == b,
            (Phrase::Made { text: a, .. }, Phrase::Made { text: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Phrase {
    pub fn fixed(text: impl AsRef<[u8]>) -> Phrase {
        Phrase::Fixed(text.as_ref().into())
    }

    /// Reads a format; the error is the first thing that is wrong with it.
    pub fn read(text: &str, ctx: &mut BuildCtx<'_>) -> Result<Phrase, String> {
        let format =
            caught(ctx, |ctx| LogFormat::parse_bytes(text.as_bytes(), Span::default(), LogUse::Text, ctx))?;
        Ok(match format.constant() {
            Some(fixed) => Phrase::fixed(fixed),
            None => Phrase::Made { text: text.into(), format },
        })
    }

    /// A format of ours, which names nothing of a configuration.
    pub fn own(text: &str) -> Phrase {
        let read = BuildCtx::with_nothing(&mut Diagnostics::default(), |ctx| Phrase::read(text, ctx));
        read.unwrap_or_else(|_| Phrase::fixed(text))
    }

    pub fn is_made(&self) -> bool {
        matches!(self, Phrase::Made { .. })
    }

    /// The text in this check. `now` is needed by what is made only.
    pub fn bytes(&self, now: Option<Ctx<'_>>) -> Cow<'_, [u8]> {
        match (self, now) {
            (Phrase::Fixed(text), _) => Cow::Borrowed(text),
            (Phrase::Made { format, .. }, Some(now)) => {
                let mut out = Vec::new();
                format.render(now, &mut out);
                Cow::Owned(out)
            }
            (Phrase::Made { .. }, None) => Cow::Borrowed(&[]),
        }
    }

    pub fn text(&self, now: Option<Ctx<'_>>) -> String {
        String::from_utf8_lossy(&self.bytes(now)).into_owned()
    }
}

/// An expression, which compares by what was written.
#[derive(Clone)]
pub struct Formula(Expr);

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Formula({})", self.0.text())
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Formula) -> bool {
        self.0.text() == other.0.text()
    }
}

impl Formula {
    /// Reads the expression that begins with the first of these words; returns the number of words that it took, too.
    pub fn read(words: &[&str], ctx: &mut BuildCtx<'_>) -> Result<(Formula, usize), String> {
        let words: Vec<Word> =
            words.iter().map(|word| Word::new(word.as_bytes().to_vec(), Span::default())).collect();
        let (expr, used) = caught(ctx, |ctx| Expr::parse(&words, 0, ctx))?;
        Ok((Formula(expr), used))
    }

    /// An expression of ours, which names nothing of a configuration.
    pub fn own(text: &str) -> Option<Formula> {
        BuildCtx::with_nothing(&mut Diagnostics::default(), |ctx| Formula::read(&[text], ctx))
            .ok()
            .map(|f| f.0)
    }

    pub fn value(&self, now: Ctx<'_>) -> Option<Sample<'static>> {
        self.0.eval(now).map(Sample::into_owned)
    }

    /// The value as a number, whatever its type.
    pub fn number(&self, now: Ctx<'_>) -> Option<i64> {
        let value = self.0.eval(now)?;
        let text = match value {
            Sample::Int(number) => return Some(number),
            other => cast(other, SampleType::Str)?,
        };
        match cast(text, SampleType::Int)? {
            Sample::Int(number) => Some(number),
            _ => None,
        }
    }
}

/// Runs a parser that reports into the context, and takes its first report back when there is nothing to use.
fn caught<T>(
    ctx: &mut BuildCtx<'_>,
    parse: impl FnOnce(&mut BuildCtx<'_>) -> Option<T>,
) -> Result<T, String> {
    let before = ctx.diags.list.len();
    let read = parse(ctx);
    read.ok_or_else(|| {
        let said = ctx.diags.list.split_off(before);
        said.into_iter().next().map_or_else(|| "cannot be used".to_owned(), |first| first.message)
    })
}
