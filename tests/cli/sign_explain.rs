//! `kootask sign --explain` against the vectors.

use serde_json::Value;

use super::outcome;
use crate::support::process::kootask;

/// What this command signs, always.
const SIGNED_HEADERS: [&str; 3] = ["host", "x-date", "x-user-id"];

#[test]
fn the_explanation_is_that_of_the_vectors() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../auth/app-auth.json")).unwrap();
    let mut explained = 0;
    for vector in vectors
        .iter()
        .filter(|v| v["signedHeaders"] == serde_json::json!(SIGNED_HEADERS))
    {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let header = |name: &str| text(&vector["headers"][name]);
        let mut command = kootask();
        command
            .args(["sign", "--explain", "--app-id", &text(&vector["appId"])])
            .args([
                "--user",
                header("X-User-Id").trim(),
                "--date",
                &header("X-Date"),
            ])
            .env("KOOTASK_APP_SECRET", text(&vector["appSecret"]));
        if vector["body"] != "" {
            command.args(["--data", &text(&vector["body"])]);
        }
        let url = format!("https://{}{}", header("Host"), text(&vector["target"]));
        let outcome = outcome(command.args([&text(&vector["method"]), &url]));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let string_to_sign = format!("HMAC-SHA256\n{}", text(&vector["hashedCanonicalRequest"]));
        let signature = format!("Signature={}\n", text(&vector["signature"]));
        for part in [
            &text(&vector["canonicalRequest"]),
            &string_to_sign,
            &signature,
        ] {
            assert!(outcome.out.contains(part), "{part}\nin\n{}", outcome.out);
        }
        explained += 1;
    }
    assert_eq!(explained, 6);
}
