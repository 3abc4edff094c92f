//! The kinds of rule sets.

use crate::lang::registry::Vocabulary;

use super::vocabulary;

/// The keyword before a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum RuleSetKind {
    TcpConnection,
    TcpSession,
    TcpContent,
    TcpResponse,
    #[default]
    HttpRequest,
    HttpResponse,
    HttpAfterResponse,
}

impl RuleSetKind {
    /// As it stands in a configuration.
    pub fn keyword(self) -> &'static str {
        match self {
            RuleSetKind::TcpConnection => "tcp-request connection",
            RuleSetKind::TcpSession => "tcp-request session",
            RuleSetKind::TcpContent => "tcp-request content",
            RuleSetKind::TcpResponse => "tcp-response content",
            RuleSetKind::HttpRequest => "http-request",
            RuleSetKind::HttpResponse => "http-response",
            RuleSetKind::HttpAfterResponse => "http-after-response",
        }
    }

    /// Rules of these sets may wait for data.
    pub fn waits(self) -> bool {
        matches!(self, RuleSetKind::TcpContent | RuleSetKind::TcpResponse)
    }

    /// HAProxy tells of rules that are never reached in these sets alone.
    pub fn warns_of_final(self) -> bool {
        matches!(self, RuleSetKind::HttpRequest | RuleSetKind::HttpResponse | RuleSetKind::HttpAfterResponse)
    }

    /// HAProxy's words for actions of this set.
    pub fn words(self) -> &'static Vocabulary {
        use vocabulary::action as words;
        match self {
            RuleSetKind::TcpConnection => &words::TCP_CONNECTION,
            RuleSetKind::TcpSession => &words::TCP_SESSION,
            RuleSetKind::TcpContent => &words::TCP_REQUEST,
            RuleSetKind::TcpResponse => &words::TCP_RESPONSE,
            RuleSetKind::HttpRequest => &words::HTTP_REQUEST,
            RuleSetKind::HttpResponse => &words::HTTP_RESPONSE,
            RuleSetKind::HttpAfterResponse => &words::HTTP_AFTER_RESPONSE,
        }
    }
}
