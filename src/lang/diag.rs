//! Diagnostics: collected while reading a configuration, all shown at the end.

use std::collections::HashSet;

use super::source::Span;

/// HAProxy's own levels, by the word printed in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Shown in diagnostic mode (`-dD`) only.
    Diag,
    Notice,
    Warning,
    Alert,
}

/// How the place is written in the one-line form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frame {
    /// `parsing [file:line] : message`: keywords and their arguments.
    #[default]
    Keyword,
    /// `parsing [file:line]: message`: the line itself and the preprocessor.
    Line,
    /// Like [`Frame::Line`], with ` at position N:`, the source line and a caret under it.
    Caret,
    /// `[file:line] : message`: an object (a server) that the message names.
    Object,
    /// The message alone: a section as a whole. The place is shown in snippets, and with alerts.
    Whole,
}

/// One finding with its place. `hint` is a second sentence ("did you mean ...").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// `None` when no place applies (a whole-configuration check).
    pub span: Option<Span>,
    pub message: String,
    pub hint: Option<String>,
    pub frame: Frame,
}

/// A growing list of findings.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn push(&mut self, severity: Severity, span: Option<Span>, message: impl Into<String>) {
        let (message, frame) = (message.into(), Frame::default());
        self.list.push(Diagnostic { severity, span, message, hint: None, frame });
    }

    pub fn alert(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Alert, Some(span), message);
    }

    pub fn alert_hint(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.alert_framed(Frame::default(), span, message, hint);
    }

    pub fn alert_framed(
        &mut self,
        frame: Frame,
        span: Span,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let (severity, message) = (Severity::Alert, message.into());
        self.list.push(Diagnostic { severity, span: Some(span), message, hint, frame });
    }

    /// A finding of any level in another frame than a keyword's.
    pub fn framed(&mut self, severity: Severity, frame: Frame, span: Span, message: impl Into<String>) {
        self.list.push(Diagnostic { severity, span: Some(span), message: message.into(), hint: None, frame });
    }

    pub fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Warning, Some(span), message);
    }

    pub fn notice(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Notice, Some(span), message);
    }

    /// A remark for `-dD`.
    pub fn diag(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Diag, Some(span), message);
    }

    /// Drops what says again what was said: the same of the same place, and every alert but the first about a place
    /// that several sections share (`is_shared`), whatever section it names.
    pub fn once(&mut self, is_shared: impl Fn(Span) -> bool) {
        let mut said = HashSet::new();
        self.list.retain(|d| {
            let Some(span) = d.span else { return true };
            let is_alert = d.severity == Severity::Alert;
            let text = if is_alert && is_shared(span) { String::new() } else { d.message.clone() };
            said.insert((is_alert, span, text))
        });
    }

    pub fn has_alerts(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Alert)
    }

    pub fn has_warnings(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Warning)
    }
}
