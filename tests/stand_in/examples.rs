//! The examples of a console's tests: they pass, and none of them is left out.

use std::path::Path;

use crate::support::command::command;
use crate::support::process::TestProcess;

/// What this program says of an example, which it runs; ends within two minutes.
fn run(program: &[&str], example: &str) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(example);
    let run = command("timeout")
        .arg("120")
        .args(program)
        .arg(&example)
        .env("KOOTASK_PROGRAM", env!("CARGO_BIN_EXE_kootask"))
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(run.status.success(), "{}: {said}", run.status);
    said
}

#[test]
fn the_tests_in_python_pass() {
    let said = run(&["python3", "-B", "-W", "error"], "console-test.py");
    assert!(said.contains("Ran 4 tests"), "{said}");
}

#[test]
fn the_tests_in_node_pass() {
    if command("node").arg("--version").output().is_err() {
        eprintln!("NOT RUN: examples/console-test.mjs, for there is no node");
        return;
    }
    let said = run(
        &["node", "--test", "--test-reporter=tap"],
        "console-test.mjs",
    );
    assert!(said.contains("# pass 6"), "{said}");
}

/// The recipes can be pasted in their order: each is answered, and all but the one
/// whose connection is reset well.
#[tokio::test]
async fn the_recipes_of_the_document_work() {
    let process = TestProcess::dev("memory:");
    let document = include_str!("../../docs/stand-in.md");
    let blocks = document.split("```sh\n").skip(1);
    let recipes: String = blocks.filter_map(|rest| rest.split("```").next()).collect();
    let recipes = recipes.replace("127.0.0.1:8080", &process.address.to_string());
    let run = tokio::task::spawn_blocking(move || {
        command("timeout")
            .args(["120", "bash", "-euo", "pipefail", "-c", &recipes])
            .output()
            .unwrap()
    });
    let run = run.await.unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let failed = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}: {said}\n{failed}", run.status);
    assert!(said.contains("attempt 1 was lost"), "{said}");
    assert!(!said.contains("attempt 2 was lost"), "{said}");
    assert_eq!(failed.lines().count(), 1, "{failed}");
}
