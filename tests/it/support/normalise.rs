//! What may differ between HAProxy and Isobar when the same traffic goes through both: this table, nothing else.

use pcre2::bytes::Regex;

/// One named difference: where the pattern matches, `with` is put in its place on both sides.
pub struct Normalisation {
    pub name: &'static str,
    pub why: &'static str,
    pattern: &'static str,
    with: &'static str,
}

/// Applied to log lines, in this order.
pub const LOG: &[Normalisation] = &[
    Normalisation {
        name: "syslog time",
        why: "wall clock",
        pattern: r"^(<\d+>)[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ",
        with: "${1}TIME ",
    },
    Normalisation { name: "pid", why: "another process", pattern: r"\b([\w-]+)\[\d+\]:", with: "${1}[PID]:" },
    Normalisation {
        name: "program",
        why: "the default log tag is the program's name",
        pattern: r"\bisobar\[",
        with: "haproxy[",
    },
    Normalisation {
        name: "CLF date",
        why: "wall clock",
        pattern: r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]",
        with: "[DATE]",
    },
    Normalisation {
        name: "CLF client port and milliseconds",
        why: "the kernel picks the one, the clock the other",
        pattern: r#"(?<=" )\d+ \d{1,3}(?= "[^"]*" "[^"]*" "[^"]*" )"#,
        with: "PORT MS",
    },
    Normalisation {
        name: "CLF timers",
        why: "milliseconds of this run",
        pattern: r#"(?<=" )(?:(?:-1|\d+) ){4}[+]?\d+(?= [A-Za-z-]{4} )"#,
        with: "TIMERS",
    },
    Normalisation {
        name: "accept date",
        why: "wall clock",
        pattern: r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\]",
        with: "[DATE]",
    },
    Normalisation {
        name: "client port",
        why: "the kernel picks it",
        pattern: r"\b(127\.\d+\.\d+\.\d+):\d+ ",
        with: "${1}:PORT ",
    },
    Normalisation {
        name: "timers",
        why: "milliseconds of this run; -1 (phase not reached) and a leading + are kept",
        pattern: r"(?<= )(?:[+]?(?:-1|\d+)/){4}[+]?(?:-1|\d+)(?= (?:-1|\d{3}) [+]?\d+ )",
        with: "TIMERS",
    },
    Normalisation {
        name: "bytes",
        why: "HAProxy counts a response head in the size of its own representation, Isobar what went over the wire",
        pattern: r"(/[+]?T (?:-1|\d{3}) [+]?)\d+ ",
        with: "${1}BYTES ",
    },
    Normalisation {
        name: "CLF bytes",
        why: "the same",
        pattern: r#"(" (?:-1|\d{3}) )\d+ ""#,
        with: "${1}BYTES \"",
    },
    Normalisation {
        name: "check duration",
        why: "milliseconds of this run",
        pattern: r"(check duration: )\d+ms",
        with: "${1}MS",
    },
    Normalisation {
        name: "timers of TCP",
        why: "the same",
        pattern: r"(?<= )(?:[+]?(?:-1|\d+)/){2}[+]?(?:-1|\d+)(?= [+]?\d+ [A-Za-z-]{2} )",
        with: "TIMERS",
    },
];

/// Applied to the heads of messages.
pub const HEAD: &[Normalisation] = &[
    Normalisation {
        name: "header-name case",
        why: "HAProxy writes header names in lower case, Isobar forwards them as they came",
        pattern: r"(?m)^([!#$%&'*+.^_`|~0-9A-Za-z-]+):",
        with: "LOWER",
    },
    Normalisation {
        name: "space after the colon",
        why: "HAProxy writes exactly one, Isobar forwards what came",
        pattern: r"(?m)^([^\s:]+):[ \t]*",
        with: "${1}: ",
    },
    Normalisation {
        name: "place of Connection",
        why: "of one hop: HAProxy's own 400 and 408 carry it in the midst, all else at the end",
        pattern: r"(?s)\A.*?\r\n(?=\r\n)",
        with: "LAST",
    },
    Normalisation {
        name: "space after the value",
        why: "HAProxy drops it, Isobar forwards what came",
        pattern: r"(?m)[ \t]+\r$",
        with: "\r",
    },
];

/// A log line with the differences of [`LOG`] taken out.
pub fn log_line(line: &str) -> String {
    LOG.iter().fold(line.to_string(), |text, rule| rule.apply(&text))
}

/// A head with the differences of [`HEAD`] taken out.
pub fn head(head: &str) -> String {
    let (start, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    format!("{start}\r\n{}", HEAD.iter().fold(fields.to_string(), |text, rule| rule.apply(&text)))
}

impl Normalisation {
    fn apply(&self, text: &str) -> String {
        let regex = Regex::new(self.pattern).expect("a pattern of the table");
        let mut out = String::new();
        let mut from = 0;
        for caps in regex.captures_iter(text.as_bytes()).flatten() {
            let whole = &caps[0];
            let at = caps.get(0).map_or(0, |m| m.start());
            out.push_str(&text[from..at]);
            from = at + whole.len();
            let found = String::from_utf8_lossy(whole);
            match self.with {
                "LOWER" => out.push_str(&found.to_ascii_lowercase()),
                "LAST" => out.push_str(&connection_last(&found)),
                "TIMERS" => out.push_str(&timers(&found)),
                with => {
                    let first =
                        caps.get(1).map_or(String::new(), |m| String::from_utf8_lossy(m.as_bytes()).into());
                    out.push_str(&with.replace("${1}", &first));
                }
            }
        }
        out.push_str(&text[from..]);
        out
    }
}

fn connection_last(lines: &str) -> String {
    let is_connection = |line: &&str| line.to_ascii_lowercase().starts_with("connection:");
    let (connection, others): (Vec<&str>, Vec<&str>) = lines.split_inclusive("\r\n").partition(is_connection);
    others.concat() + &connection.concat()
}

/// `0/0/1/-1/+7` becomes `T/T/T/-1/+T`.
fn timers(found: &str) -> String {
    let between = if found.contains('/') { "/" } else { " " };
    let words = found.split(between).map(|word| match word {
        "-1" => "-1",
        plus if plus.starts_with('+') => "+T",
        _ => "T",
    });
    words.collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_table_names_is_taken_out() {
        let line = "<134>Nov 21 22:01:02 haproxy[77]: 127.0.0.1:4242 [21/Nov/2026:22:01:02.123] fe be/s1 \
                    0/0/-1/-1/+12 503 217 - - SC-- 2/1/0/0/+3 0/0 \"GET / HTTP/1.1\"";
        let wanted = "<134>TIME haproxy[PID]: 127.0.0.1:PORT [DATE] fe be/s1 \
                      T/T/-1/-1/+T 503 BYTES - - SC-- 2/1/0/0/+3 0/0 \"GET / HTTP/1.1\"";
        assert_eq!(log_line(line), wanted);
        let moved = "HTTP/1.1 400 X\r\nConnection: close\r\nA: b\r\n\r\n";
        assert_eq!(head(moved), "HTTP/1.1 400 X\r\na: b\r\nconnection: close\r\n\r\n");
        assert_eq!(
            head("GET /A HTTP/1.1\r\nHoST:x  \r\nB:  Y\r\n\r\n"),
            "GET /A HTTP/1.1\r\nhost: x\r\nb: Y\r\n\r\n"
        );
    }
}
