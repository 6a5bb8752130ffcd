//! Standard output that takes nothing, or that nobody reads any more: a message or silence, never a panic.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::process::{Command, Stdio};

#[track_caller]
fn check(arguments: &[&str]) {
    let schuss = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_schuss"));
        command.args(arguments).stderr(Stdio::piped());
        command
    };
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = schuss().stdout(full).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("error: cannot write to standard output"), "{arguments:?}: {stderr}");

    let mut child = schuss().stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
}

#[test]
fn every_way_of_printing() {
    check(&["completions", "bash"]);
    check(&["check"]);
}
