//! `kootask sign`: the headers it prints, the request it sends, what it refuses.

use std::io::{BufRead, Write};
use std::process::Stdio;

use super::{Outcome, outcome, run};
use crate::support::client::{Call, TRANSFER};
use crate::support::process::{TestProcess, kootask};
use crate::support::tls::Authority;

const APP: [&str; 4] = ["--app-id", "kootask-dev", "--user", "1505084218764547200"];
const SECRET: &str = "kootask-dev-secret";

/// `kootask sign` as the app of the stand-in.
fn sign(arguments: &[&str]) -> Outcome {
    outcome(
        kootask()
            .arg("sign")
            .args(APP)
            .args(arguments)
            .env("KOOTASK_APP_SECRET", SECRET),
    )
}

fn create_url(process: &TestProcess) -> String {
    format!("http://{}{}", process.address, kootask::api::CREATE)
}

#[tokio::test]
async fn the_headers_it_prints_make_a_request_that_is_taken() {
    let process = TestProcess::dev("memory:");
    let outcome = sign(&["--data", TRANSFER, "POST", &create_url(&process)]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let headers: Vec<_> = outcome
        .out
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "host",
            "x-date",
            "x-user-id",
            "authorization",
            "content-type"
        ]
    );

    let send = |body: &'static str| {
        let call = Call::new(process.address, "POST", kootask::api::CREATE).body(body);
        headers
            .iter()
            .fold(call, |call, (name, value)| call.header(name, value))
            .send()
    };
    send(TRANSFER).await.task_id();
    assert_eq!(send("{}").await.status, 401, "another body");
}

#[test]
fn without_a_body_no_type_is_declared() {
    let outcome = sign(&["GET", "http://127.0.0.1/list"]);
    assert_eq!(outcome.out.lines().count(), 4, "{outcome:?}");
    assert!(outcome.out.starts_with("host: 127.0.0.1\n"), "{outcome:?}");
}

#[test]
fn a_port_that_is_the_schemes_own_is_no_part_of_the_host() {
    for (url, host) in [
        ("http://a.example.com:80/", "a.example.com"),
        ("https://a.example.com:443/", "a.example.com"),
        ("http://a.example.com:443/", "a.example.com:443"),
        ("https://a.example.com:8443/", "a.example.com:8443"),
        ("http://[::1]:80/", "[::1]"),
    ] {
        let outcome = sign(&["GET", url]);
        assert!(
            outcome.out.starts_with(&format!("host: {host}\n")),
            "{url}: {outcome:?}"
        );
    }
}

#[test]
fn send_prints_the_status_and_the_answer() {
    let process = TestProcess::dev("memory:");
    let outcome = sign(&["--send", "--data", TRANSFER, "POST", &create_url(&process)]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        outcome.out.starts_with("200 OK\n{\"taskId\":\""),
        "{outcome:?}"
    );
}

#[test]
fn send_prints_a_refusal_too_and_ends_with_1() {
    let process = TestProcess::dev("memory:");
    let nowhere = format!("http://{}/nowhere", process.address);
    for (arguments, status, code) in [
        (
            &["--data", "{}", "POST", &create_url(&process)][..],
            "400 Bad Request",
            13_000_102,
        ),
        (&["GET", &nowhere], "404 Not Found", 13_000_101),
    ] {
        let outcome = sign(&[&["--send"], arguments].concat());
        let answer = format!("{status}\n{{\"code\":{code},");
        assert!(outcome.out.starts_with(&answer), "{outcome:?}");
        assert!(outcome.err.contains(status), "{outcome:?}");
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
}

/// Answers one connection with these bytes; the address, as it stands in a URL.
fn answering_once(answer: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let head = std::io::BufReader::new(connection.try_clone().unwrap()).lines();
        for line in head.map_while(Result::ok) {
            if line.is_empty() {
                break;
            }
        }
        connection.write_all(answer.as_bytes()).unwrap();
    });
    address
}

#[test]
fn send_ends_with_1_at_a_servers_error_and_follows_no_redirection() {
    for (answer, status) in [
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno",
            "503 Service Unavailable\nno\n",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
            "302 Found\n\n",
        ),
    ] {
        let outcome = sign(&["--send", "get", &answering_once(answer)]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(outcome.out, status, "{outcome:?}");
    }
}

#[test]
fn send_takes_a_key_a_language_a_method_in_small_letters_and_a_url_without_a_scheme() {
    let process = TestProcess::dev("memory:");
    let url = format!("{}{}", process.address, kootask::api::CREATE);
    let create = |body| {
        let key = ["--idempotency-key", "k-1", "--language", "zh-CN"];
        sign(&[&["--send", "--data", body], &key[..], &["post", &url]].concat())
    };
    let first = create(TRANSFER);
    assert!(first.out.starts_with("200 OK\n"), "{first:?}");
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(create(TRANSFER).out, first.out, "the same key");
    let other = create(r#"{"srcUserId":"a","dstUserId":"b"}"#);
    assert!(other.out.starts_with("422 "), "{other:?}");
    assert!(!other.out.is_ascii(), "it is in Chinese: {other:?}");
}

#[test]
fn send_with_explain_prints_the_explanation_and_then_the_answer() {
    let process = TestProcess::dev("memory:");
    let url = create_url(&process);
    let outcome = sign(&["--explain", "--send", "--data", TRANSFER, "POST", &url]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let (explanation, answer) = outcome.out.split_once("\nThe answer:\n\n").unwrap();
    assert!(explanation.contains("The string to sign:"), "{outcome:?}");
    assert!(answer.starts_with("200 OK\n{\"taskId\":"), "{outcome:?}");
}

#[test]
fn send_reaches_a_service_whose_authority_is_named_and_no_other() {
    let (authority, folder) = (
        Authority::new("the authority"),
        tempfile::tempdir().unwrap(),
    );
    let process = TestProcess::configured(&authority.issue().configured_in(folder.path()));
    let url = format!("https://{}{}", process.address, kootask::api::LIST);
    let send = |cacert: &[&str]| sign(&[&["--send"], cacert, &["GET", &url]].concat());
    let file_of = |name: &str, text: &str| {
        let path = folder.path().join(name).display().to_string();
        std::fs::write(&path, text).unwrap();
        path
    };
    let other = Authority::new("another").pem();
    let both = file_of("both.crt", &(other.clone() + &authority.pem()));
    let reached = send(&["--cacert", &both]);
    assert_eq!(reached.code, Some(0), "{reached:?}");
    assert!(reached.out.starts_with("200 OK\n"), "{reached:?}");

    let other = file_of("other.crt", &other);
    let key = file_of("no.crt", "no certificate");
    for (cacert, why) in [
        (&[][..], "kootask: "),
        (&["--cacert", &other], "kootask: "),
        (&["--cacert", &key], "there is no certificate in it"),
        (&["--cacert", "/nowhere/ca.crt"], "/nowhere/ca.crt"),
    ] {
        let refused = send(cacert);
        assert_eq!(
            (refused.code, refused.out.as_str()),
            (Some(1), ""),
            "{refused:?}"
        );
        assert!(refused.err.contains(why), "{refused:?}");
    }
}

/// Whatever else is wrong with it, and wherever it stands.
#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    for arguments in [
        &["GET", "http://user:pass-word@h/"][..],
        &["GET", "user:pass-word@h:8080/a"],
        &["GET", "http://pass-word@h"],
        &["GET", "http://user:pass-word x@h/"],
        &["GET", "http://user:pass-word/x@h/"],
        &["GET", "ftp://user:pass-word@h/"],
        &["http://user:pass-word@h/"],
        &["http://user:pass-word@h/", "GET"],
    ] {
        for form in [&[][..], &["--send"], &["--curl"], &["--explain"]] {
            let outcome = sign(&[form, arguments].concat());
            assert_eq!(outcome.code, Some(2), "{outcome:?}");
            assert_eq!(outcome.out, "", "{outcome:?}");
            assert!(!outcome.err.contains("pass-word"), "{outcome:?}");
        }
    }
    let outcome = sign(&["GET", "http://user:pass-word@h/"]);
    assert!(
        outcome.err.contains("holds a user or a password"),
        "{outcome:?}"
    );
}

#[test]
fn send_to_where_nobody_listens_ends_with_1() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = sign(&["--send", "GET", &format!("http://{free}/")]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.starts_with("kootask: "), "{outcome:?}");
}

#[test]
fn the_body_can_come_from_a_file_or_from_standard_input() {
    let process = TestProcess::dev("memory:");
    let url = create_url(&process);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body.json");
    std::fs::write(&path, format!("{TRANSFER}\n")).unwrap();
    let outcome = sign(&[
        "--send",
        "--data",
        &format!("@{}", path.display()),
        "POST",
        &url,
    ]);
    assert!(outcome.out.starts_with("200 OK"), "{outcome:?}");

    let mut child = kootask()
        .arg("sign")
        .args(APP)
        .args(["--send", "--data", "-", "POST", &url])
        .env("KOOTASK_APP_SECRET", SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(TRANSFER.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.starts_with(b"200 OK"), "{output:?}");
}

#[test]
fn the_secret_can_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let same = ["--date", "20251103T070140Z", "GET", "http://h/"];
    let from_file = outcome(
        kootask()
            .arg("sign")
            .args(APP)
            .arg("--secret-file")
            .arg(&path)
            .args(same),
    );
    assert_eq!(from_file.code, Some(0), "{from_file:?}");
    assert_eq!(from_file.out, sign(&same).out);
}

#[test]
fn the_secret_is_never_printed() {
    for form in [&[][..], &["--explain"], &["--curl"]] {
        let outcome = sign(&[form, &["--data", "{}", "POST", "http://h/"]].concat());
        assert_eq!(outcome.code, Some(0));
        assert!(
            !outcome.out.contains(SECRET) && !outcome.err.contains(SECRET),
            "{outcome:?}"
        );
    }
}

#[test]
fn without_a_secret_it_ends_with_1_and_says_where_to_put_one() {
    let outcome = run(&[&["sign"], &APP[..], &["GET", "http://h/"]].concat());
    assert_eq!(outcome.code, Some(1));
    let (file, variable) = ("--secret-file", "KOOTASK_APP_SECRET");
    assert!(
        outcome.err.contains(file) && outcome.err.contains(variable),
        "{outcome:?}"
    );
}

#[test]
fn an_empty_secret_is_none() {
    let mut command = kootask();
    command
        .arg("sign")
        .args(APP)
        .args(["GET", "http://h/"])
        .env("KOOTASK_APP_SECRET", "");
    let outcome = outcome(&mut command);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

/// It is no part of the secret that the service knows.
#[test]
fn a_secret_that_begins_with_a_byte_order_mark_is_refused() {
    let mut command = kootask();
    command
        .arg("sign")
        .args(APP)
        .args(["GET", "http://h/"])
        .env("KOOTASK_APP_SECRET", format!("\u{feff}{SECRET}"));
    let outcome = outcome(&mut command);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.contains("byte order mark"), "{outcome:?}");
    assert!(!outcome.err.contains(SECRET), "{outcome:?}");
}

#[test]
fn what_cannot_be_signed_ends_with_1_and_is_named() {
    for (arguments, named) in [
        (&["--date", "2025-11-03", "GET", "http://h/"][..], "--date"),
        (
            &["--data", "@/nowhere/body", "POST", "http://h/"],
            "/nowhere/body",
        ),
        (
            &["--secret-file", "/nowhere/secret", "GET", "http://h/"],
            "/nowhere/secret",
        ),
    ] {
        let outcome = sign(arguments);
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {outcome:?}");
        assert_eq!(outcome.out, "");
        assert!(outcome.err.contains(named), "{arguments:?}: {outcome:?}");
    }
}

#[test]
fn what_makes_no_sense_ends_with_2() {
    for arguments in [
        &["--curl", "--send", "GET", "http://h/"][..],
        &["--curl", "--explain", "GET", "http://h/"],
        &["--cacert", "ca.crt", "GET", "http://h/"],
        &["--cacert", "ca.crt", "--explain", "GET", "http://h/"],
        &["GET"],
        &["G T", "http://h/"],
        &["GET", "http://h/ x"],
        &["GET", "/no/host"],
        &["--language", "zh CN", "GET", "http://h/"],
        &["--idempotency-key", "", "GET", "http://h/"],
        &["--app-id", "a b", "GET", "http://h/"],
    ] {
        assert_eq!(sign(arguments).code, Some(2), "{arguments:?}");
    }
}
