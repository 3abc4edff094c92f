//! `isobar -c` on files in Keepalived's language, and on sections that name one.

use std::path::PathBuf;
use std::process::Command;

use crate::support::program::under_test;

const GOOD: &str = "global_defs {
  router_id X
}
vrrp_instance VI_1 {
   interface lo
   virtual_router_id 51
   priority 100
   state SLAVE
   virtual_ipaddress {
       192.0.2.200
   }
}
virtual_server 192.0.2.200 80 {
   delay_loop 6
   real_server 192.0.2.1 80 {
      weight 1
   }
}
";

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Exit status and what was said.
fn check(files: &[&PathBuf]) -> (i32, String) {
    let mut command = Command::new(under_test());
    command.arg("-c");
    for path in files {
        command.arg("-f").arg(path);
    }
    let told = command.output().unwrap();
    (told.status.code().unwrap(), String::from_utf8_lossy(&told.stderr).into_owned())
}

#[test]
fn a_file_of_keepalived_is_known_by_its_blocks() {
    let files = Files::new();
    let path = files.write("any.name", GOOD);
    let (status, said) = check(&[&path]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains(&format!("{}:8: state 'SLAVE'", path.display())), "{said}");
    assert!(said.contains(&format!("{}:13: block 'virtual_server' is left out", path.display())), "{said}");
    let broken = files.write("broken.conf", &GOOD.replace("priority 100", "priority"));
    let (status, said) = check(&[&broken]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains(":7: 'priority' expects a value"), "{said}");
}

#[test]
fn global_names_a_file_of_keepalived() {
    let files = Files::new();
    let path = files.write("keepalived.conf", &GOOD.replace("priority 100", "priority"));
    let config = files.write("isobar.cfg", &format!("global\n  keepalived-config {}\n", path.display()));
    let (status, said) = check(&[&config]);
    assert!(status == 1 && said.contains("keepalived.conf:7: 'priority' expects a value"), "{said}");
    std::fs::remove_file(&path).unwrap();
    let (status, said) = check(&[&config]);
    assert!(status == 1 && said.contains("cannot read"), "{said}");
    files.write("keepalived.conf", GOOD);
    assert_eq!(check(&[&config]).0, 0);
    let twice = check(&[&config, &path]);
    assert!(twice.0 == 1 && twice.1.contains("one keepalived.conf at most"), "{}", twice.1);
}

#[test]
fn sections_and_a_file_stand_side_by_side() {
    let files = Files::new();
    let path = files.write("keepalived.conf", GOOD);
    let section = |name: &str, id: u8| {
        format!("vrrp {name}\n  interface lo\n  router-id {id}\n  address 192.0.2.201\n")
    };
    let fine = files.write("fine.cfg", &section("VI_2", 52));
    let (status, said) = check(&[&fine, &path]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(check(&[&fine]).0, 0);
    for (name, id, expected) in [("VI_1", 52, "of keepalived.conf already"), ("VI_2", 51, "has router-id 51")]
    {
        let (status, said) = check(&[&files.write("wrong.cfg", &section(name, id)), &path]);
        assert!(status == 1 && said.contains(expected), "{said}");
    }
}
