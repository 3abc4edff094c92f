//! What a check found last.

/// The last health check's result, for `show stat` (`check_status`, `check_code`, ...).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckState {
    /// HAProxy's short code: `UNK INI L4OK L4TOUT L4CON L6OK L7OK L7OKC L7TOUT L7RSP L7STS`...
    pub status: &'static str,
    pub code: Option<i32>,
    pub duration_ms: Option<u64>,
    /// `last_chk`: a short text.
    pub text: String,
}
