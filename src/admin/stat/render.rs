//! The statistics as CSV, typed lines and JSON (management manual 9.1 and 9.2).

use std::fmt::Write;

use super::column::COLUMNS;
use super::info::{self, InfoField, Process};
use super::row::{Row, Snapshot};
use super::value::{Datum, Value};

/// Largest whole number that every JSON reader keeps exact (RFC 8259 section 6).
const JSON_MAX: u64 = (1 << 53) - 1;

/// Text as a CSV cell: quoted when it has to be, on one line, without spaces at its end.
fn push_csv(text: &str, out: &mut String) {
    let is_quoted = text.contains(['\n', '\r', ',', '"']);
    if is_quoted {
        out.push('"');
    }
    let begin = out.len();
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            '\r' => {}
            '"' => out.push_str("\"\""),
            c => out.push(c),
        }
    }
    out.truncate(begin + out[begin..].trim_end_matches(' ').len());
    if is_quoted {
        out.push('"');
    }
}

/// `# pxname,svname,...,-,` as one line.
pub fn csv_header() -> String {
    let mut out = String::from("# ");
    for column in COLUMNS {
        out.push_str(column.entry.name);
        out.push(',');
    }
    out.push_str("-,\n");
    out
}

pub fn csv_row(row: &Row<'_>, out: &mut String) {
    for column in COLUMNS {
        match column.field(row) {
            Some(Datum { value: Value::Text(text), .. }) => push_csv(&text, out),
            Some(datum) => datum.value.write(out),
            None => {}
        }
        out.push(',');
    }
    out.push_str("-,\n");
}

pub fn csv(snapshot: &Snapshot) -> String {
    let mut out = csv_header();
    snapshot.rows().for_each(|row| csv_row(&row, &mut out));
    out
}

fn push_tags(datum: &Datum<'_>, out: &mut String) {
    out.push(datum.origin.names().0);
    out.push(datum.nature.names().0);
    out.push(datum.scope.names().0);
}

/// The type and value, and the column's meaning when `desc` asks for it.
fn push_typed(datum: &Datum<'_>, persistence: char, doc: Option<&str>, out: &mut String) {
    push_tags(datum, out);
    out.push(persistence);
    out.push(':');
    out.push_str(datum.value.type_name());
    out.push(':');
    datum.value.write(out);
    if let Some(doc) = doc {
        let _ = write!(out, ":\"{doc}\"");
    }
    out.push('\n');
}

/// `show stat typed [desc]`: a line for each value.
pub fn typed(snapshot: &Snapshot, describe: bool) -> String {
    let mut out = String::new();
    for row in snapshot.rows() {
        let sid = row.server().map_or(0, |s| s.spec.id);
        for (i, column) in COLUMNS.iter().enumerate() {
            let Some(datum) = column.field(&row) else { continue };
            let (letter, ..) = row.kind().names();
            let _ = write!(out, "{letter}.{}.{sid}.{i}.{}.1:", row.proxy.uid, column.entry.name);
            let persistence = if column.shared { 'P' } else { 'V' };
            push_typed(&datum, persistence, describe.then_some(column.entry.doc), &mut out);
        }
    }
    out
}

fn push_json(datum: &Datum<'_>, out: &mut String) {
    let _ = write!(
        out,
        "\"tags\":{{\"origin\":\"{}\",\"nature\":\"{}\",\"scope\":\"{}\"}},\"value\":{{\"type\":\"{}\",\"value\":",
        datum.origin.names().1,
        datum.nature.names().1,
        datum.scope.names().1,
        datum.value.type_name(),
    );
    match &datum.value {
        Value::Text(text) => out.push_str(&serde_json::Value::from(&**text).to_string()),
        Value::U64(n) => Value::U64(*n.min(&JSON_MAX)).write(out),
        value => value.write(out),
    }
    out.push_str("}}");
}

/// `show stat json`: an array of lines, each an array of values.
pub fn json(snapshot: &Snapshot) -> String {
    let mut out = String::from("[");
    for (n, row) in snapshot.rows().enumerate() {
        out.push_str(if n == 0 { "[" } else { ",[" });
        let sid = row.server().map_or(0, |s| s.spec.id);
        let mut is_first = true;
        for (i, column) in COLUMNS.iter().enumerate() {
            let Some(datum) = column.field(&row) else { continue };
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            let _ = write!(
                out,
                "{{\"objType\":\"{}\",\"proxyId\":{},\"id\":{sid},\"field\":{{\"pos\":{i},\"name\":\"{}\"}},\"processNum\":1,",
                row.kind().names().1,
                row.proxy.uid,
                column.entry.name,
            );
            push_json(&datum, &mut out);
        }
        out.push(']');
    }
    out.push_str("]\n");
    out
}

/// The form of `show info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Form {
    #[default]
    Plain,
    Typed,
    Json,
}

/// `show info [typed|json] [desc]`.
pub fn info(process: &Process, form: Form, describe: bool) -> String {
    let mut out = String::new();
    let mut is_first = true;
    for (i, InfoField { entry, read, .. }) in info::FIELDS.iter().enumerate() {
        let Some(datum) = read(process) else { continue };
        match form {
            Form::Plain => {
                let _ = write!(out, "{}: ", entry.name);
                match &datum.value {
                    Value::Text(text) => push_csv(text, &mut out),
                    value => value.write(&mut out),
                }
                if describe {
                    let _ = write!(out, ":\"{}\"", entry.doc);
                }
                out.push('\n');
            }
            Form::Typed => {
                let _ = write!(out, "{i}.{}.1:", entry.name);
                push_typed(&datum, 'V', describe.then_some(entry.doc), &mut out);
            }
            Form::Json => {
                out.push(if std::mem::take(&mut is_first) { '[' } else { ',' });
                let _ =
                    write!(out, "{{\"field\":{{\"pos\":{i},\"name\":\"{}\"}},\"processNum\":1,", entry.name);
                push_json(&datum, &mut out);
            }
        }
    }
    if form == Form::Json {
        out.push_str("]\n");
    }
    out
}
