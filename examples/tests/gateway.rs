//! The gateway as a program: what it prints, and with which code it ends.

use std::io;
use std::net::TcpListener;
use std::process::{Command, Output};

fn gateway(arguments: &[&str]) -> io::Result<Output> {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_gateway"));
    for (name, _) in std::env::vars() {
        if ["AWS_", "GATEWAY_", "RUST_LOG"].iter().any(|prefix| name.starts_with(prefix)) {
            gateway.env_remove(name);
        }
    }
    // Whoever has the usual port.
    if !arguments.contains(&"--self-test") {
        gateway.env("GATEWAY_LISTEN", "127.0.0.1:0");
    }
    gateway.args(arguments).output()
}

#[test]
fn the_self_test_passes_and_counts_its_checks() {
    let output = gateway(&["--self-test"]).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{log}");
    let checks = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(checks > 40, "{said}");
    assert_eq!(said.lines().last(), Some(format!("{checks} passed, 0 failed").as_str()));
}

const ROLE: &str = "arn:aws:iam::123456789012:role/gateway";

fn federated<'a>(role: &'a str, sts: &'a str, session_name: &'a str) -> Vec<&'a str> {
    let at = ["--upstream", "http://localhost", "--upstream-sts", sts, "--role-arn", role];
    [&at[..], &["--upstream-session-name", session_name, "--issuer", "https://gateway.example"]].concat()
}

#[test]
fn a_bad_value_ends_it_before_it_listens() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = other.local_addr().unwrap().to_string();
    for (arguments, says) in [
        (&["--region", "EU West"][..], "--region needs"),
        (&["--upstream", "s3.example"], "--upstream is no URL"),
        (&["--upstream", "http://s3.example"], "AWS_ACCESS_KEY_ID"),
        (&["--keys", "no such file"], "no such file: cannot be read"),
        (&["--listen", "everywhere"], "--listen"),
        (&["--listen", "8014"], "such as 127.0.0.1:8014"),
        (&["--listen", in_use.as_str()], "take another port with --listen"),
        (&["--listen", "192.0.2.1:8014"], "no interface of this machine has"),
        (&["--roles", "no such file"], "--roles: no such file: cannot be read"),
        (&["--roles", "no such file"], "examples/README.md shows"),
        (&["--tls-cert", "no such file"], "--tls-key <PATH>"),
        (&["--tls-key", "no such file"], "--tls-cert <PATH>"),
        (&["--tls-cert", "no such file", "--tls-key", "none"], "--tls-cert: no such file: cannot be read"),
        (&["--tls-cert", "Cargo.toml", "--tls-key", "none"], "Cargo.toml: holds no certificate in PEM"),
        (&["--token-ring", "no such file"], "keyring new"),
        (&["--issuer", "https://gateway.example", "--issuer-state", "no such file"], "issuer new"),
        (&["--upstream", "http://localhost", "--upstream-access-key", "k"], "export it"),
        (&federated("nonsense", "http://localhost", "s"), "--role-arn: "),
        (&federated(ROLE, "http://sts.example", "s"), "--upstream-sts: "),
        (&federated(ROLE, "http://localhost", "a b"), "--upstream-session-name: "),
    ] {
        let output = gateway(arguments).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}: {complaint}");
        assert!(complaint.contains(says), "{arguments:?}: {complaint}");
    }
}

#[test]
fn a_trust_in_a_key_that_is_not_there_is_warned_of_and_does_not_end_it() {
    const ROLES: &str = "[[role]]\nname = 'auditor'\n[[role.trust]]\nkeys = ['operator']\n\
                         [[role.allow]]\nbucket = '*'\nactions = ['read']\n";
    let folder = tempfile::tempdir().unwrap();
    let roles = folder.path().join("roles.toml");
    std::fs::write(&roles, ROLES).unwrap();
    let roles = roles.to_str().unwrap();
    let arguments = ["--upstream", "http://127.0.0.1:9", "--roles", roles];
    let log = String::from_utf8(gateway(&arguments).unwrap().stderr).unwrap();
    let warning = log.lines().find(|line| line.contains("WARN")).unwrap();
    assert!(warning.contains("a trust names a key that is not in the file of --keys"), "{log}");
    assert!(warning.contains("line=4"), "{log}");
    // What ended it comes later.
    assert!(log.contains("AWS_ACCESS_KEY_ID"), "{log}");
}
