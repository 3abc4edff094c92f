//! `userlist` sections: users with passwords and groups, for `http_auth` and `http_auth_group`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{Diagnostics, Entry, Line, Section, Status};

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
        "<user> [ insecure-password <password> ] [ groups <group>,<group>,... ]",
        "A user with a password and groups.",
        "user ann insecure-password secret",
        "1.4",
    )
    .with(Status::Partial("without hashed passwords ('password')")),
];

#[derive(Clone, Debug, Default)]
struct User {
    name: Box<str>,
    /// `None`: nobody can be this user.
    password: Option<Box<str>>,
    groups: Vec<Box<str>>,
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

/// Equal, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

impl Accounts {
    /// The groups of a user who gave the right password; `None` for anybody else.
    pub fn groups(&self, name: &[u8], password: &[u8]) -> Option<&[Box<str>]> {
        let user = self.users.iter().find(|u| u.name.as_bytes() == name)?;
        let known = user.password.as_deref()?;
        same(known.as_bytes(), password).then_some(&user.groups[..])
    }

    fn user(&mut self, line: &Line) -> Result<(), String> {
        let name = line.str(1);
        if name.is_empty() {
            return Err("'user' expects <name> as arguments.".into());
        }
        if self.users.iter().any(|u| &*u.name == name) {
            return Err(format!("user '{name}' already exists in this userlist."));
        }
        let mut user = User { name: name.into(), ..User::default() };
        let mut at = 2;
        while line.words.len() > at {
            let value = line.str(at + 1);
            match line.str(at) {
                "password" => {
                    return Err("'password' (hashed) is not supported by this release, \
                                'insecure-password' is."
                        .into());
                }
                "insecure-password" => user.password = Some(value.into()),
                "groups" => user.groups.extend(value.split(',').map(Into::into)),
                other => return Err(format!("unknown keyword '{other}' in 'user'.")),
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
                    if let Err(message) = accounts.user(line) {
                        diags.alert(line.at(0), message);
                    }
                }
                "group" => groups.push((line, line.str(1))),
                other => {
                    diags.alert(line.at(0), format!("unknown keyword '{other}' in 'userlist' section"));
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
            let place = groups.first().map_or_else(Default::default, |(line, _)| line.span);
            diags.alert(place, format!("no such group '{group}' specified in user '{}'", user.name));
        }
    }
}
