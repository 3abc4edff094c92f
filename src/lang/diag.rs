//! Diagnostics: collected while reading a configuration, all shown at the end.

use super::source::Span;

/// HAProxy's own levels, by the word printed in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Diag,
    Notice,
    Warning,
    Alert,
}

/// One finding with its place. `hint` is a second sentence ("did you mean ...").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// `None` when no place applies (a whole-configuration check).
    pub span: Option<Span>,
    pub message: String,
    pub hint: Option<String>,
}

/// A growing list of findings.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn push(&mut self, severity: Severity, span: Option<Span>, message: impl Into<String>) {
        self.list.push(Diagnostic { severity, span, message: message.into(), hint: None });
    }

    pub fn alert(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Alert, Some(span), message);
    }

    pub fn alert_hint(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        let message = message.into();
        self.list.push(Diagnostic { severity: Severity::Alert, span: Some(span), message, hint });
    }

    pub fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Warning, Some(span), message);
    }

    pub fn notice(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Notice, Some(span), message);
    }

    pub fn has_alerts(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Alert)
    }

    pub fn has_warnings(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Warning)
    }
}
