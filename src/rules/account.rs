//! `userlist` sections: users with passwords and groups, for `http_auth` and `http_auth_group`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{Diagnostics, Entry, Line, Section, Span, Status, suggest};

use super::crypt::{Hash, same};

/// The lines of a section.
pub const LINES: &[Entry] = &[
    Entry::full(
        "group",
        "<group> [ users <user>,<user>,... ]",
        "A group, and who belongs to it.",
        "group staff",
        "1.4",
    ),
    Entry::full(
        "user",
        "<user> [ password <hash> | insecure-password <password> ] [ groups <group>,<group>,... ]",
        "A user with a password and groups. Hashes are those of crypt(3).",
        "user ann insecure-password secret",
        "1.4",
    )
    .with(Status::Partial("hashes of SHA-512, SHA-256 and MD5; neither bcrypt nor yescrypt")),
];

/// What a password is held against.
#[derive(Clone, Debug)]
enum Password {
    Plain(Box<str>),
    Hashed(Arc<Hash>),
}

impl Password {
    fn is(&self, given: &[u8]) -> bool {
        match self {
            Password::Plain(known) => same(known.as_bytes(), given),
            Password::Hashed(hash) => hash.is_of(given),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct User {
    name: Box<str>,
    /// `None`: nobody can be this user.
    password: Option<Password>,
    groups: Vec<Box<str>>,
    /// Where they were named.
    groups_at: Option<Span>,
}

/// One section.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    users: Vec<User>,
}

/// All of them by name.
#[derive(Clone, Debug, Default)]
pub struct Userlists {
    lists: HashMap<Box<str>, Arc<Accounts>>,
}

impl Accounts {
    /// The groups of a user who gave the right password; `None` for anybody else.
    pub fn groups(&self, name: &[u8], password: &[u8]) -> Option<&[Box<str>]> {
        let user = self.users.iter().find(|u| u.name.as_bytes() == name)?;
        user.password.as_ref()?.is(password).then_some(&user.groups[..])
    }

    /// The error says which word is wrong.
    fn user(&mut self, line: &Line) -> Result<(), (usize, String)> {
        let name = line.str(1);
        if name.is_empty() {
            return Err((0, "'user' expects <name> as arguments.".into()));
        }
        if self.users.iter().any(|u| &*u.name == name) {
            return Err((1, format!("user '{name}' already exists in this userlist.")));
        }
        let mut user = User { name: name.into(), ..User::default() };
        let mut at = 2;
        while line.words.len() > at {
            let value = line.str(at + 1);
            match line.str(at) {
                "password" => {
                    let hash = Hash::parse(value).map_err(|e| (at + 1, format!("user '{name}': {e}.")))?;
                    user.password = Some(Password::Hashed(Arc::new(hash)));
                }
                "insecure-password" => user.password = Some(Password::Plain(value.into())),
                "groups" => {
                    user.groups.extend(value.split(',').map(Into::into));
                    user.groups_at = Some(line.at(at + 1));
                }
                other => {
                    let message = format!("unknown keyword '{other}' in 'user'");
                    let names = ["password", "insecure-password", "groups"];
                    return Err((at, suggest::with_hint(message, other, names)));
                }
            }
            at += 2;
        }
        self.users.push(user);
        Ok(())
    }
}

impl Userlists {
    pub fn find(&self, name: &str) -> Option<Arc<Accounts>> {
        self.lists.get(name).cloned()
    }

    /// Reads one `userlist <name>` section.
    pub fn section(&mut self, section: &Section, diags: &mut Diagnostics) {
        let name = section.head.str(1);
        if name.is_empty() {
            return diags.alert(section.head.span, "'userlist' expects <name> as arguments.");
        }
        if self.lists.contains_key(name) {
            return diags.warning(section.head.at(1), format!("ignoring duplicated userlist '{name}'."));
        }
        let mut accounts = Accounts::default();
        let mut groups: Vec<(&Line, &str)> = Vec::new();
        for line in &section.lines {
            match line.str(0) {
                word if is_void(Kind::In("userlist"), word) => {}
                "user" => {
                    if let Err((word, message)) = accounts.user(line) {
                        diags.alert(line.at(word), message);
                    }
                }
                "group" => groups.push((line, line.str(1))),
                other => {
                    let message = format!("unknown keyword '{other}' in 'userlist' section");
                    diags.alert_hint(line.at(0), message, suggest::hint(other, ["user", "group"]));
                }
            }
        }
        join(&mut accounts, &groups, diags);
        self.lists.insert(name.into(), Arc::new(accounts));
    }
}

/// Puts the users into the groups that name them; groups that users name must exist.
fn join(accounts: &mut Accounts, groups: &[(&Line, &str)], diags: &mut Diagnostics) {
    for (line, group) in groups {
        let users = if line.str(2) == "users" { line.str(3) } else { "" };
        for name in users.split(',').filter(|n| !n.is_empty()) {
            match accounts.users.iter_mut().find(|u| &*u.name == name) {
                Some(user) => user.groups.push((*group).into()),
                None => {
                    diags.alert(line.at(3), format!("no such user '{name}' specified in group '{group}'"))
                }
            }
        }
    }
    for user in &accounts.users {
        for group in user.groups.iter().filter(|g| !groups.iter().any(|(_, name)| *name == &***g)) {
            let place = user.groups_at.unwrap_or_default();
            diags.alert(place, format!("no such group '{group}' specified in user '{}'", user.name));
        }
    }
}
