//! Seeds, and what is wrong with them.

use std::net::TcpListener;

use crate::support::client::{Call, TRANSFER};
use crate::support::process::{TestProcess, kootask};

#[test]
fn a_broken_seed_ends_the_start_with_its_file_and_line_and_no_port() {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("broken.toml");
    std::fs::write(&toml, "rules = []\n\n[[tasks]]\nstatus = 'BROKEN'\n").unwrap();
    let json = folder.path().join("broken.json");
    std::fs::write(&json, "{\"tasks\": [\n{\"srcUserId\": 7}\n]}").unwrap();
    for (seed, line) in [(toml, 4), (json, 2)] {
        // Whoever holds the port would be asked for it first.
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap().to_string();
        let output = kootask()
            .args(["dev", "--listen", &address, "--seed"])
            .arg(&seed)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        let place = format!("{}, line {line}", seed.display());
        assert!(said.contains(&place), "{said}");
        assert!(!said.contains("cannot listen"), "{said}");
    }
}

#[tokio::test]
async fn who_is_ready_is_seeded() {
    let folder = tempfile::tempdir().unwrap();
    for (name, src) in [("1.toml", "139"), ("2.json", "140")] {
        let text = if name.ends_with("toml") {
            format!("[[tasks]]\nsrcUserId = '{src}'\ndstUserId = '150'\n")
        } else {
            format!(r#"{{"tasks":[{{"srcUserId":"{src}","dstUserId":"150"}}]}}"#)
        };
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = kootask();
    command
        .args([
            "dev",
            "--listen",
            "127.0.0.1:0",
            "--progress",
            "manual",
            "--seed",
        ])
        .arg(folder.path());
    let process = TestProcess::start(command);
    let health = Call::new(process.address, "GET", "/kootask/dev/health");
    let health = health.send().await.body;
    assert_eq!(health["status"], "ready");
    assert_eq!(health["generation"], 1);
    let tasks = Call::new(process.address, "GET", "/kootask/dev/tasks");
    assert_eq!(
        tasks.send().await.body["tasks"].as_array().unwrap().len(),
        2
    );
    process.create(TRANSFER).send().await.task_id();
}
