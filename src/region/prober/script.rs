//! Checks by a program: exit status 0 passes, 1 warns, everything else is critical.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use crate::base::clock;
use crate::os::process::kill_group;
use crate::region::map::{Health, Name};

use super::machine::{Finding, OUTPUT_MAX};

/// How often it is asked whether it has ended; its output wakes sooner.
const TURN: Duration = Duration::from_millis(10);

/// A program in a process group of its own, which does not outlive the run.
struct Group {
    child: Child,
    ended: bool,
}

impl Group {
    fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.ended |= status.is_some();
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            kill_group(self.child.id() as i32);
            let _ = self.child.wait();
        }
    }
}

pub(super) async fn check(args: &[Name], limit: Duration) -> Finding {
    let Some((program, rest)) = args.split_first() else { return Finding::critical("No program was given.") };
    let mut output = Vec::new();
    let ended = run(program, rest, limit, &mut output).await;
    let text = String::from_utf8_lossy(&output);
    match ended {
        Ok(Some(status)) => Finding::new(health(status), text),
        Ok(None) => Finding::critical(format!("Timed out after {} ms: {text}", limit.as_millis())),
        Err(e) => Finding::critical(format!("{program}: {e}")),
    }
}

/// Its status, or `None` when its time was over first.
async fn run(
    program: &str,
    rest: &[Name],
    limit: Duration,
    output: &mut Vec<u8>,
) -> io::Result<Option<ExitStatus>> {
    let (reader, writer) = io::pipe()?;
    let child = Command::new(program)
        .args(rest.iter().map(|a| &**a))
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .spawn()?;
    let mut group = Group { child, ended: false };
    let mut stream = Receiver::from_owned_fd(reader.into())?;
    let deadline = clock::now_ms() + limit.as_millis() as u64;
    let (mut block, mut is_open) = ([0; OUTPUT_MAX], true);
    loop {
        tokio::select! {
            read = stream.read(&mut block), if is_open => match read {
                Ok(n @ 1..) => keep(output, &block[..n]),
                _ => is_open = false,
            },
            () = tokio::time::sleep(TURN) => {}
        }
        if let Some(status) = group.status()? {
            // What it wrote last; its end closes the pipe, unless something that it left behind holds it open.
            let rest = async {
                while let Ok(n @ 1..) = stream.read(&mut block).await
                    && output.len() < OUTPUT_MAX
                {
                    keep(output, &block[..n]);
                }
            };
            let _ = tokio::time::timeout(TURN * 10, rest).await;
            return Ok(Some(status));
        }
        if clock::now_ms() >= deadline {
            return Ok(None);
        }
    }
}

/// The beginning is kept; the rest is read all the same, so that the program is not held up.
fn keep(output: &mut Vec<u8>, block: &[u8]) {
    let room = OUTPUT_MAX - output.len().min(OUTPUT_MAX);
    output.extend_from_slice(&block[..block.len().min(room)]);
}

fn health(status: ExitStatus) -> Health {
    match status.code() {
        Some(0) => Health::Passing,
        Some(1) => Health::Warning,
        _ => Health::Critical,
    }
}
