//! The tests beside what a shell may have exported: none of it changes what
//! they find.

use std::net::TcpListener;
use std::process::Command;

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

/// Tests that start the program in each way there is, one within this process,
/// and one that asks the database by `psql`.
const TESTS: [&str; 9] = [
    "api::create::the_reference_example_is_answered_with_a_task_id",
    "cli::dev::the_requests_of_the_banner_work_as_pasted",
    "cli::migrate::the_password_may_be_in_the_url_or_beside_it_and_is_not_printed",
    "cli::serve::with_the_advised_token_it_serves_its_bearer",
    "cli::sign::without_a_secret_it_ends_with_1_and_says_where_to_put_one",
    "config::environment::every_setting_can_be_given_in_the_environment",
    "durability::fsync::a_success_is_sent_after_the_task_was_written_to_the_disk",
    "hostile::crowds::beyond_the_bound_connections_are_refused_and_those_there_are_served",
    "packaging::the_images_environment_is_a_valid_configuration",
];

#[test]
fn what_the_callers_shell_has_exported_changes_no_test() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let here = tempfile::tempdir().unwrap();
    let server = "KOOTASK_TEST_POSTGRES";
    let again = command(std::env::current_exe().unwrap())
        .arg("--exact")
        .args(TESTS)
        .current_dir(here.path())
        .envs(exported(&listen))
        .env(server, std::env::var(server).unwrap_or_default())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{said}");
    let passed = format!("test result: ok. {} passed", TESTS.len());
    assert!(said.contains(&passed), "{said}");
    let left = std::fs::read_dir(here.path()).unwrap().count();
    assert_eq!(left, 0, "the tests write to their working directory");
}

#[test]
fn a_program_started_by_a_test_has_an_environment_and_a_place_of_its_own() {
    let names = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let names = said.lines().filter_map(|line| line.split_once('='));
        names.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let found = names(&mut command("env"));
    let known = |name: &String| ["PATH", "TMPDIR"].contains(&name.as_str());
    assert!(found.iter().all(known), "{found:?}");
    let checkout = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_ne!(kootask().get_current_dir(), Some(checkout));
    assert!(kootask().get_current_dir().is_some());
}
