//! Checks that speak a protocol by themselves: `option ssl-hello-chk`, `smtpchk`, `mysql-check`, `pgsql-check`,
//! `redis-check`, `ldap-check`, `spop-check`. Each is a list of bytes to send and of what must come back.

use super::phrase::{Formula, Phrase};
use super::rule::{Action, Connect, Expect, Match, Pattern, Reader, Send, Step, Told};
use super::spop;
use super::status::Status;

/// The word that is wrong, and what is wrong with it.
type Wrong = (usize, String);

/// The steps of the option `name`; `words` are its arguments.
pub fn steps(name: &str, words: &[&str]) -> Result<Vec<Step>, Wrong> {
    let connect = Connect { implicit: true, default: true, ..Connect::default() };
    let list = match name {
        "ssl-hello-chk" => ssl_hello(words)?,
        "smtpchk" => smtp(words)?,
        "mysql-check" => mysql(words)?,
        "pgsql-check" => pgsql(words)?,
        "redis-check" => redis(words)?,
        "spop-check" => {
            none(name, words)?;
            vec![send(spop::hello()), own("an agent's hello", spop::read, "SPOA server is ok")]
        }
        _ => ldap(words)?,
    };
    let step = |index, action| Step { index, comment: None, action };
    // As HAProxy counts them: connecting is a step of `smtpchk` alone.
    let first = usize::from(name == "smtpchk");
    let mut steps = vec![step(0, Action::Connect(connect))];
    steps.extend(list.into_iter().enumerate().map(|(at, action)| step(first + at, action)));
    Ok(steps)
}

fn none(name: &str, words: &[&str]) -> Result<(), Wrong> {
    match words.first() {
        Some(word) => Err((0, format!("'option {name}' cannot handle unexpected argument '{word}'."))),
        None => Ok(()),
    }
}

fn send(bytes: impl Into<Vec<u8>>) -> Action {
    let bytes: Vec<u8> = bytes.into();
    Action::Send(Send::Bytes(Phrase::fixed(bytes)))
}

/// What `read` makes of the answer, and the format of what is said when all is well.
fn own(name: &'static str, read: fn(&[u8], bool) -> Told, well: &str) -> Action {
    let mut expect = Expect::new(Match::Own(Reader { name, read }));
    expect.on_success = Some(Phrase::own(well));
    Action::Expect(expect)
}

/// What must come: an expression over hexadecimal digits in upper case.
fn hex(regex: &str, least: i64, failed: Status, why: &str) -> Result<Expect, Wrong> {
    let pattern = Pattern::new(regex, false).map_err(|e| (0, e))?;
    let mut expect = Expect::new(Match::HexRegex(pattern));
    expect.min_recv = least;
    expect.error_status = Some(failed);
    expect.on_error = (!why.is_empty()).then(|| Phrase::own(why));
    Ok(expect)
}

fn text(regex: &str, least: i64, failed: Status, why: &str) -> Result<Expect, Wrong> {
    let pattern = Pattern::new(regex, false).map_err(|e| (0, e))?;
    let mut expect = hex("", least, failed, why)?;
    expect.pattern = Match::BytesRegex(pattern);
    Ok(expect)
}

/// What is said when all is well.
fn well(mut expect: Expect, text: &str) -> Action {
    expect.on_success = Some(Phrase::own(text));
    Action::Expect(expect)
}

/// A hello of SSLv3, which every server answers: with its own, or with an alert.
fn ssl_hello(words: &[&str]) -> Result<Vec<Action>, Wrong> {
    none("ssl-hello-chk", words)?;
    const SUITES: [u16; 10] = [0x39, 0x38, 0x35, 0x33, 0x32, 0x2f, 0x16, 0x13, 0x0a, 0x05];
    let mut hello = vec![3, 0];
    // Nothing is made secret by what comes of it.
    hello.extend(b"a check of health, nothing secret");
    hello.truncate(2 + 32);
    hello.push(0);
    hello.extend((SUITES.len() as u16 * 2).to_be_bytes());
    hello.extend(SUITES.iter().flat_map(|suite| suite.to_be_bytes()));
    hello.extend([1, 0]);
    let length = hello.len() as u16;
    let mut record = vec![22, 3, 0];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(hello);
    let mut expect = hex("^1[56]", 5, Status::L6Rsp, "")?;
    expect.ok_status = Some(Status::L6Ok);
    expect.timeout_status = Some(Status::L6Timeout);
    Ok(vec![send(record), well(expect, "")])
}

/// A greeting, HELO or EHLO, and farewell.
fn smtp(words: &[&str]) -> Result<Vec<Action>, Wrong> {
    let hello = match words {
        [] => "HELO localhost".to_owned(),
        [_] => return Err((0, "'option smtpchk' expects a greeting and a domain.".to_owned())),
        [greeting @ ("HELO" | "EHLO"), domain] => format!("{greeting} {domain}"),
        [_, _] => "HELO localhost".to_owned(),
        [.., word] => {
            return Err((2, format!("'option smtpchk' cannot handle unexpected argument '{word}'.")));
        }
    };
    const SAID: &str = "%[res.payload(4,0),ltrim(' '),cut_crlf]";
    let good = |regex: &str, least: i64| -> Result<Expect, Wrong> {
        let mut expect = text(regex, least, Status::L7Sts, SAID)?;
        expect.status_code = Formula::own("res.payload(0,3)");
        Ok(expect)
    };
    const GOOD: &str = r"^2[0-9]{2}[ \r-]";
    const LAST: &str = r"^(2[0-9]{2}-[^\r]*\r\n)*2[0-9]{2}[ \r]";
    Ok(vec![
        Action::Expect(text(r"^[0-9]{3}[ \r-]", 4, Status::L7Rsp, "%[res.payload(0,0),cut_crlf]")?),
        Action::Expect(good(GOOD, 4)?),
        send(format!("{hello}\r\n")),
        // What is no good answer may still become one.
        Action::Expect(good(GOOD, -1)?),
        // Of several lines all are waited for.
        Action::Expect(good(LAST, -1)?),
        send("QUIT\r\n"),
        well(good(GOOD, -1)?, SAID),
    ])
}

/// The server's greeting and, with a user, what it says of them.
fn mysql(words: &[&str]) -> Result<Vec<Action>, Wrong> {
    let (user, is_old) = match words {
        [] => (None, false),
        ["user", name] | ["user", name, "post-41"] => (Some(*name), false),
        ["user", name, "pre-41"] => (Some(*name), true),
        ["user"] => return Err((0, "'option mysql-check' expects <username> behind 'user'.".to_owned())),
        ["user", _, word, ..] => {
            return Err((2, format!("'option mysql-check' knows 'pre-41' and 'post-41', not '{word}'.")));
        }
        [word, ..] => {
            return Err((0, format!("'option mysql-check' supports 'user', not '{word}'.")));
        }
    };
    // The version stands behind the number of the protocol, up to a NUL.
    const VERSION: &str = "%[res.payload(5,0)]";
    let Some(user) = user else { return Ok(vec![own("a greeting", mysql_greeting, VERSION)]) };
    let mut packet = Vec::new();
    if is_old {
        // Flags, the longest packet, the name; there is no password.
        packet.extend([0, 0x80, 0, 0, 1]);
        packet.extend(user.as_bytes());
        packet.extend([0, 0]);
    } else {
        packet.extend(0x8200_u32.to_le_bytes());
        packet.extend([0, 0x80, 0, 1]);
        packet.push(33);
        packet.extend([0; 23]);
        packet.extend(user.as_bytes());
        packet.extend([0, 0]);
    }
    let mut bytes = (packet.len() as u32).to_le_bytes()[..3].to_vec();
    bytes.push(1);
    bytes.extend(packet);
    // And leave.
    bytes.extend([1, 0, 0, 0, 1]);
    // HAProxy does not wait for the greeting before it says who it is.
    Ok(vec![send(bytes), own("a greeting", mysql_greeting, VERSION), own("an answer", mysql_answer, VERSION)])
}

/// Three bytes of length, one of number, and then what it is: FF an error, anything else is well.
fn mysql_packet(received: &[u8], more: bool, from: usize) -> Told {
    let refused = |code, text| Told::Failed(Status::L7Sts, code, text);
    let packet = received.get(from..).unwrap_or_default();
    let whole = mysql_len(packet).and_then(|len| packet.get(4..len));
    match whole {
        Some([0xff, low, high, text @ ..]) => {
            let text = String::from_utf8_lossy(text).into_owned();
            refused(Some(u16::from_le_bytes([*low, *high])), text)
        }
        Some([0xff, ..]) => refused(None, String::new()),
        Some([_, ..]) => Told::Met,
        None if more => Told::Wait,
        Some([]) | None => Told::Failed(Status::L7Rsp, None, String::new()),
    }
}

/// Bytes of the packet that begins here, its head among them.
fn mysql_len(packet: &[u8]) -> Option<usize> {
    let [a, b, c, _, ..] = *packet else { return None };
    Some(u32::from_le_bytes([a, b, c, 0]) as usize + 4)
}

fn mysql_greeting(received: &[u8], more: bool) -> Told {
    mysql_packet(received, more, 0)
}

fn mysql_answer(received: &[u8], more: bool) -> Told {
    mysql_packet(received, more, mysql_len(received).unwrap_or(0))
}

/// The start of a session, and whether the server would go on.
fn pgsql(words: &[&str]) -> Result<Vec<Action>, Wrong> {
    let ["user", user] = words else {
        return Err((0, "'option pgsql-check' expects 'user <username>' as argument.".to_owned()));
    };
    let mut packet = vec![0, 3, 0, 0];
    packet.extend(b"user\0");
    packet.extend(user.as_bytes());
    packet.extend([0, 0]);
    let mut bytes = (packet.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend(packet);
    let mut refused = hex("^45", 5, Status::L7Rsp, "%[res.payload(6,0)]")?;
    refused.inverse = true;
    let asks = hex("^52000000..000000(0[02-9A-C])", 9, Status::L7Sts, "PostgreSQL unknown error")?;
    Ok(vec![send(bytes), Action::Expect(refused), well(asks, "PostgreSQL server is ok")])
}

fn redis(words: &[&str]) -> Result<Vec<Action>, Wrong> {
    none("redis-check", words)?;
    let mut expect = Expect::new(Match::Bytes(Phrase::fixed("+PONG\r\n")));
    expect.error_status = Some(Status::L7Sts);
    expect.on_error = Some(Phrase::own("%[res.payload(0,0),cut_crlf]"));
    Ok(vec![send("*1\r\n$4\r\nPING\r\n"), well(expect, "Redis server is ok")])
}

/// A bind without a name, and its success.
fn ldap(words: &[&str]) -> Result<Vec<Action>, Wrong> {
    none("ldap-check", words)?;
    let bind = [0x30, 0x0c, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0];
    let length = "(?:[0-7].|8[1-4](?:..){1,4}?)";
    let sequence = hex("^30", 14, Status::L7Rsp, "Not LDAPv3 protocol")?;
    let answer = format!("^30{length}020101");
    let answered = hex(&format!("{answer}61"), 14, Status::L7Rsp, "Not LDAPv3 protocol")?;
    let bound = own("a bind's result", ldap_bound, "Success");
    Ok(vec![send(bind), Action::Expect(sequence), Action::Expect(answered), bound])
}

/// Where what follows a length begins.
fn ldap_skip_len(received: &[u8], at: usize) -> Option<usize> {
    match *received.get(at)? {
        octets @ 0x81..=0x84 => Some(at + 1 + usize::from(octets & 0x7f)),
        0..=0x7f => Some(at + 1),
        _ => None,
    }
}

/// The result of the bind that is answered: a sequence of the message's number and the answer, which begins with it.
fn ldap_result(received: &[u8]) -> Option<u8> {
    let answer = ldap_skip_len(received, 1)? + 3;
    let code = ldap_skip_len(received, answer + 1)?;
    match received.get(code..code + 3)? {
        [0x0a, 1, result] => Some(*result),
        _ => None,
    }
}

fn ldap_bound(received: &[u8], more: bool) -> Told {
    match ldap_result(received) {
        Some(0) => Told::Met,
        Some(result) => {
            let text = "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9".to_owned();
            Told::Failed(Status::L7Sts, Some(result.into()), text)
        }
        None if more && received.len() < LDAP_LONG => Told::Wait,
        None => Told::Failed(Status::L7Rsp, None, "Not LDAPv3 protocol".to_owned()),
    }
}

/// What has not shown the result by now has none.
const LDAP_LONG: usize = 64;
