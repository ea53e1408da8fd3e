//! `kootask sign --curl`: a command that does what was signed.

use serde_json::Value;

use super::{Outcome, outcome, pasted};
use crate::support::process::{TestProcess, kootask};

const CREATE: &str = kootask::api::CREATE;

fn curl_command(arguments: &[&str], target: &str) -> Outcome {
    let mut command = kootask();
    command
        .args([
            "sign",
            "--curl",
            "--app-id",
            "kootask-dev",
            "--user",
            "somebody",
        ])
        .args(arguments)
        .args(["POST", target])
        .env("KOOTASK_APP_SECRET", "kootask-dev-secret");
    outcome(&mut command)
}

/// The answer to the pasted command for this body and target; `None` without
/// curl.
fn answered(body: &[u8], target: &str) -> Option<Value> {
    let process = TestProcess::dev("memory:");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, body).unwrap();
    let data = format!("@{}", path.display());
    let url = format!("http://{}{target}", process.address);
    let command = curl_command(&["--data", &data], &url);
    assert_eq!(command.code, Some(0), "{command:?}");
    let outcome = pasted(&command.out)?;
    assert_eq!(outcome.code, Some(0), "{command:?}: {outcome:?}");
    Some(serde_json::from_str(&outcome.out).unwrap_or_else(|_| panic!("{outcome:?}")))
}

fn assert_created(answer: Option<Value>) {
    if let Some(answer) = answer {
        assert_eq!(answer["code"], 0, "{answer}");
    }
}

#[test]
fn the_pasted_command_is_taken() {
    assert_created(answered(br#"{"srcUserId":"a","dstUserId":"b"}"#, CREATE));
}

#[test]
fn a_body_keeps_its_quotes_dollars_backslashes_and_line_ends() {
    let body = "{\"srcUserId\":\"a\",\n\t\"dstUserId\":\"b\",\r\n\"note\":\
        \"it's 'quoted' $HOME `id` $(id) \\\\ \\\" !! 100% ; & | > 中文 \\u0000\"}\n\n";
    assert_created(answered(body.as_bytes(), CREATE));
}

/// curl takes what follows `--data-binary` for a file's name if it starts so.
#[test]
fn a_body_that_starts_with_an_at_sign_is_sent_as_it_is() {
    if let Some(answer) = answered(b"@/etc/hostname", CREATE) {
        assert_eq!(
            answer["msg"], "The body is not valid JSON.",
            "it was another body"
        );
    }
}

/// curl makes several requests of one with brackets or braces.
#[test]
fn brackets_and_braces_in_the_url_are_sent_as_they_are() {
    let target = format!("{CREATE}?ids=[1-2]&names={{a,b}}&q='$x");
    assert_created(answered(br#"{"srcUserId":"a","dstUserId":"b"}"#, &target));
}

#[test]
fn a_body_that_is_no_text_is_refused_rather_than_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    for body in [&b"{\"a\":\"\xff\"}"[..], b"\0"] {
        std::fs::write(&path, body).unwrap();
        let data = format!("@{}", path.display());
        let outcome = curl_command(&["--data", &data], "http://h/");
        assert_eq!(outcome.code, Some(1), "{body:?}: {outcome:?}");
        assert!(outcome.err.contains("--curl"), "{outcome:?}");
    }
}
