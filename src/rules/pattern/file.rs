//! Pattern files: one pattern a line, or a key and a value for maps (manual sections 2.7 and 7.1).

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::rules::build::BuildCtx;

use super::reference::PatternRef;

/// The bytes of a pattern file. `opt@` may be missing, `virt@` never exists, `file@` is the plain form.
fn read(name: &str, ctx: &BuildCtx<'_>) -> Result<Vec<u8>, String> {
    if name.starts_with("virt@") {
        return Ok(Vec::new());
    }
    let optional = name.strip_prefix("opt@");
    let path = optional.or_else(|| name.strip_prefix("file@")).unwrap_or(name);
    match (ctx.files)(Path::new(path)) {
        Ok(bytes) => Ok(bytes),
        Err(e) if optional.is_some() && e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(format!("failed to open pattern file <{path}>: {e}")),
    }
}

/// The reference of a file, loaded at its first use. Maps have keys and values; as a list, a map's keys count.
pub fn reference_of_file(
    name: &str,
    is_map: bool,
    line: u32,
    ctx: &mut BuildCtx<'_>,
) -> Result<Arc<PatternRef>, String> {
    let user = format!("{} line {line}", ctx.section);
    let (reference, is_new) = ctx.patterns.file(name, is_map, &user);
    if !is_new {
        return Ok(reference);
    }
    let bytes = read(name, ctx)?;
    reference.load_all(
        memchr::memchr_iter(b'\n', &bytes).count() + 1,
        bytes.len(),
        lines(&bytes).map(|(number, text)| {
            if !is_map {
                return (text, None, number);
            }
            let key_len = memchr::memchr2(b' ', b'\t', text).unwrap_or(text.len());
            (&text[..key_len], Some(text[key_len..].trim_ascii()), number)
        }),
    );
    Ok(reference)
}

/// The patterns of a file with their line numbers (from 1): blanks before and the end of line are not part of them,
/// lines that begin with `#` are comments.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = 0;
    let ends = memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]);
    let lines = ends.map(move |end| &bytes[std::mem::replace(&mut from, end + 1)..end]);
    lines.enumerate().filter_map(|(i, line)| {
        if line.first() == Some(&b'#') {
            return None;
        }
        let start = line.iter().position(|c| !matches!(c, b' ' | b'\t'))?;
        let line = &line[start..];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then_some((i + 1, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blanks() {
        let found: Vec<_> = lines(b"# c\n\n a b\r\n\t#kept\nlast").collect();
        assert_eq!(found, [(3, &b"a b"[..]), (4, b"#kept"), (5, b"last")]);
    }
}
