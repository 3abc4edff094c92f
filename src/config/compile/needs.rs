//! What rules and logs of a proxy look at that costs something to keep: the request line, our own addresses.
//!
//! Told from the text of the lines that can name it, so a word too many costs a system call and a word too few
//! cannot be.

use crate::model::Mode;

use super::draft::{Draft, FormatSource, Step};
use super::server::port_offset;

/// See the fields of the same names in [`crate::config::Proxy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub uri_line: bool,
    pub local_address: bool,
    pub server_address: bool,
}

impl Needs {
    /// Of one section alone; `base` is the `defaults` section it starts from.
    pub fn of(draft: &Draft<'_>, base: Option<&Draft<'_>>) -> Needs {
        let mut needs = Needs::default();
        for step in draft.steps.iter().chain(base.iter().flat_map(|b| &b.steps)) {
            needs.step(step);
        }
        for line in &draft.set.errors {
            line.words.iter().for_each(|w| needs.text(w.str()));
        }
        let set = &draft.set;
        for word in [set.unique_id_format, set.log.error_format, set.log.sd_format].into_iter().flatten() {
            needs.text(word.str());
        }
        if !set.log.targets.is_empty() && draft.caps().front {
            needs.log(set.log.format.map(|(source, _)| source), set.mode);
        }
        needs.local_address |= set.options.originalto.is_some();
        let own_fields = [&draft.set.default_server].into_iter().chain(draft.servers.iter().map(|s| &s.set));
        own_fields.flat_map(|set| &set.proxy_tlvs).for_each(|(_, text, _)| needs.text(text));
        for server in &draft.servers {
            needs.local_address |= port_offset(&server.written).is_some();
        }
        needs
    }

    pub fn or(self, other: Needs) -> Needs {
        Needs {
            uri_line: self.uri_line || other.uri_line,
            local_address: self.local_address || other.local_address,
            server_address: self.server_address || other.server_address,
        }
    }

    fn log(&mut self, format: Option<FormatSource<'_>>, mode: Mode) {
        match format {
            // "Connect from <client> to <local address>".
            None => self.local_address = true,
            Some(FormatSource::Custom(word)) => self.text(word.str()),
            Some(_) => self.uri_line |= mode.has_messages(),
        }
    }

    fn step(&mut self, step: &Step<'_>) {
        let args = match step {
            Step::Acl(args)
            | Step::TcpRequest(args)
            | Step::TcpResponse(args)
            | Step::HttpRequest(args)
            | Step::HttpResponse(args)
            | Step::HttpAfterResponse(args)
            | Step::Redirect(args)
            | Step::UseBackend(args)
            | Step::UseServer(args)
            | Step::Stick(args)
            | Step::MonitorFail(args)
            | Step::Persist(args)
            | Step::ForceSwitch(args)
            | Step::StatsAdmin(args)
            | Step::StatsHttpRequest(args) => args,
        };
        args.words.iter().for_each(|w| self.text(w.str()));
    }

    fn text(&mut self, text: &str) {
        let has = |list: &[&str]| list.iter().any(|part| text.contains(part));
        self.uri_line |= has(&["capture.req"]) || alias(text, &["r", "HM", "HP", "HPO", "HU", "HQ", "HV"]);
        self.local_address |= has(&["dst", "fc_", "so_"]) || alias(text, &["fi", "fp"]);
        self.server_address |= has(&["bc_"]) || alias(text, &["bi", "bp", "si", "sp"]);
    }
}

/// Whether a log format in `text` has one of the `%` fields, with or without flags in braces.
fn alias(text: &str, names: &[&str]) -> bool {
    text.split('%').skip(1).any(|part| {
        let part = match part.strip_prefix('{') {
            Some(flags) => flags.split_once('}').map_or("", |(_, rest)| rest),
            None => part,
        };
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        names.contains(&&part[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::build_text;
    use super::*;

    fn needs(front: &str, back: &str) -> Needs {
        let text = format!(
            "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n\
             frontend f\n bind :1\n default_backend b\n{front}\nbackend b\n server s 10.0.0.1:80\n{back}\n"
        );
        let (built, diags) = build_text(&text);
        let config = built.unwrap_or_else(|| panic!("{diags:?}")).config;
        let front = &config.proxies[0];
        Needs {
            uri_line: front.needs_uri_line,
            local_address: front.needs_local_address,
            server_address: front.needs_server_address,
        }
    }

    #[test]
    fn nothing_is_kept_that_nobody_reads() {
        let nothing = Needs::default();
        let uri = Needs { uri_line: true, ..nothing };
        let local = Needs { local_address: true, ..nothing };
        for (front, back, expected) in [
            ("", "", nothing),
            (" http-request set-header x %[src]", "", nothing),
            (" log 127.0.0.1 local0\n option httplog", "", uri),
            (" log 127.0.0.1 local0\n log-format \"%ci %ST\"", "", nothing),
            (" log 127.0.0.1 local0\n log-format \"%ci %{+Q}r\"", "", uri),
            (" log 127.0.0.1 local0", "", local),
            (" http-request deny if { dst_port 80 }", "", local),
            ("", " http-request set-header x %[dst]", local),
            ("", " server t 10.0.0.2", local),
            ("", " http-request set-header x %[capture.req.uri]", uri),
        ] {
            assert_eq!(needs(front, back), expected, "{front}{back}");
        }
        let line = " log 127.0.0.1 local0\n log-format \"%si:%sp\"";
        assert_eq!(needs(line, ""), Needs { server_address: true, ..nothing });
    }
}
