//! The tests beside what a shell may have exported: none of it changes what
//! they find.

use std::net::TcpListener;
use std::path::Path;

use crate::cli::outcome;
use crate::support::command::command;
use crate::support::process::kootask;

/// What somebody may have exported who runs the service or works on a database,
/// each of it wrong for a test. `listen` is an address that is taken.
fn exported(listen: &str) -> Vec<(&'static str, String)> {
    let digest = "ab".repeat(32);
    let variables = [
        ("KOOTASK__SERVER__LISTEN", listen),
        ("KOOTASK__STORE__URL", "sqlite:///dev/null/tasks.db"),
        ("KOOTASK__AUTH__MODE", "verify"),
        ("KOOTASK__AUTH__TOKENS__0__TENANT_ID", "nobody"),
        ("KOOTASK__AUTH__TOKENS__0__TOKEN_SHA256", &digest),
        ("KOOTASK__ID__NODE", "many"),
        ("KOOTASK__NO__SUCH", "setting"),
        ("KOOTASK_CONFIG", "/dev/null/kootask.toml"),
        ("KOOTASK_APP_SECRET", "wrong"),
        ("RUST_LOG", "off"),
        ("PGHOST", "/dev/null"),
        ("PGPORT", "1"),
        ("PGUSER", "nobody"),
        ("PGDATABASE", "nowhere"),
        ("PGPASSWORD", "wrong"),
        ("PGOPTIONS", "-c default_transaction_read_only=on"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", "/dev/null/root.crt"),
        ("HTTP_PROXY", "http://127.0.0.1:1"),
        ("http_proxy", "http://127.0.0.1:1"),
        ("ALL_PROXY", "http://127.0.0.1:1"),
    ];
    variables.map(|(name, value)| (name, value.into())).into()
}

/// Tests that start the program in each way there is, some within this process,
/// and some that ask the database by `psql`.
const TESTS: [&str; 7] = [
    "api::create::",
    "cli::dev::",
    "cli::migrate::",
    "cli::serve::",
    "config::environment::",
    "durability::fsync::",
    "packaging::",
];

#[test]
fn what_the_callers_shell_has_exported_changes_no_test() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let here = tempfile::tempdir().unwrap();
    let server = "KOOTASK_TEST_POSTGRES";
    let again = command(std::env::current_exe().unwrap())
        .args(TESTS)
        .current_dir(here.path())
        .envs(exported(&listen))
        .env(server, std::env::var(server).unwrap_or_default())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{said}");
    for tests in TESTS {
        assert!(said.contains(&format!("test {tests}")), "{tests} in {said}");
    }
    let left = std::fs::read_dir(here.path()).unwrap().count();
    assert_eq!(left, 0, "the tests write to their working directory");
}

#[test]
fn the_scripts_take_it_all_away() {
    let project = env!("CARGO_MANIFEST_DIR");
    let environment = outcome(
        command("bash")
            .args(["-c", "source tests/environment.sh && env"])
            .current_dir(project)
            .envs(exported("127.0.0.1:1")),
    );
    assert_eq!(environment.code, Some(0), "{environment:?}");
    for (name, _) in exported("") {
        // A proxy may be the way to the packages that a script installs.
        let is_kept = name.to_lowercase().ends_with("_proxy");
        let is_there = environment.out.contains(&format!("{name}="));
        assert_eq!(is_there, is_kept, "{name}");
    }
}

#[test]
fn a_program_started_by_a_test_has_an_environment_and_a_place_of_its_own() {
    let found = outcome(&mut command("env")).out;
    let is_kept = |line: &str| line.starts_with("PATH=") || line.starts_with("TMPDIR=");
    assert!(found.lines().all(is_kept), "{found}");
    let place = kootask().get_current_dir().map(Path::to_owned).unwrap();
    assert_ne!(place, Path::new(env!("CARGO_MANIFEST_DIR")));
}
