//! `kootask migrate`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Outcome, outcome, run};
use crate::support::client::TRANSFER;
use crate::support::postgres::TestDatabase;
use crate::support::process::{TestProcess, kootask};

const SECRET: &str = "hunter2-hunter2";

/// The URL of a SQLite database in this folder.
fn sqlite(folder: &TempDir) -> String {
    format!("sqlite://{}", folder.path().join("tasks.db").display())
}

/// A role that owns its database, and the URL without and with its password.
fn owner(database: &TestDatabase) -> (String, String) {
    let role = database.role(SECRET);
    database.sql(&format!("GRANT ALL ON SCHEMA public TO {role}"));
    let with_password = database.url_as(&format!("{role}:{SECRET}"));
    (database.url_as(&role), with_password)
}

#[track_caller]
fn said(outcome: &Outcome) -> &str {
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.err, "", "{outcome:?}");
    &outcome.out
}

#[track_caller]
fn refused(outcome: &Outcome) -> &str {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(outcome.out, "", "{outcome:?}");
    &outcome.err
}

/// Migrates twice; `shown` is what it calls the store.
#[track_caller]
fn migrate_twice(mut migrate: Command, shown: &str) {
    let version = if shown.starts_with("sqlite") { 4 } else { 2 };
    let first = outcome(&mut migrate);
    let expected = format!("{shown} is migrated from schema version 0 to {version}\n");
    assert_eq!(said(&first), expected);
    let second = outcome(&mut migrate);
    let expected = format!("{shown} is up to date: its schema has version {version}\n");
    assert_eq!(said(&second), expected);
}

fn migrate() -> Command {
    let mut command = kootask();
    command.arg("migrate");
    command
}

fn file_with(folder: &TempDir, toml: &str) -> std::path::PathBuf {
    let file = folder.path().join("kootask.toml");
    std::fs::write(&file, toml).unwrap();
    file
}

#[test]
fn it_makes_a_schema_once_wherever_the_store_is_named() {
    let (folders, postgres) = ([(); 3].map(|()| TempDir::new().unwrap()), [(); 3]);
    let stores = folders.iter().map(sqlite);
    let databases = postgres.map(|()| TestDatabase::shared());
    let stores = stores.chain(databases.iter().map(|database| database.url.clone()));
    for (store, place) in stores.zip([0, 1, 2].into_iter().cycle()) {
        let folder = TempDir::new().unwrap();
        let toml = format!("[store]\nurl = '{store}'\n");
        let mut command = migrate();
        match place {
            0 => command.args(["--store", &store]),
            1 => command.arg("--config").arg(file_with(&folder, &toml)),
            _ => command.env("KOOTASK__STORE__URL", &store),
        };
        migrate_twice(command, &store);
    }
}

#[test]
fn the_argument_goes_over_the_environment_and_that_over_the_file() {
    let [one, two, three] = [(); 3].map(|()| TempDir::new().unwrap());
    let mut command = migrate();
    command
        .arg("--config")
        .arg(file_with(
            &one,
            &format!("[store]\nurl = '{}'", sqlite(&one)),
        ))
        .env("KOOTASK__STORE__URL", sqlite(&two));
    assert!(said(&outcome(&mut command)).starts_with(&sqlite(&two)));
    command.args(["--store", &sqlite(&three)]);
    assert!(said(&outcome(&mut command)).starts_with(&sqlite(&three)));
    let is_made = |folder: &TempDir| folder.path().join("tasks.db").exists();
    assert!(!is_made(&one) && is_made(&two) && is_made(&three));
}

/// That a service at start does not is the reason for which it is there.
#[test]
fn it_migrates_although_the_service_may_not() {
    let folder = TempDir::new().unwrap();
    let mut command = migrate();
    command
        .args(["--store", &sqlite(&folder)])
        .env("KOOTASK__STORE__MIGRATE", "false");
    migrate_twice(command, &sqlite(&folder));
}

#[test]
fn memory_has_no_schema() {
    let outcome = run(&["migrate", "--store", "memory:"]);
    assert_eq!(said(&outcome), "memory: has no schema\n");
}

#[test]
fn a_sqlite_database_in_use_is_refused() {
    let folder = TempDir::new().unwrap();
    let store = sqlite(&folder);
    let process = TestProcess::dev(&store);
    let outcome = run(&["migrate", "--store", &store]);
    assert!(
        refused(&outcome).contains("another process has this store open"),
        "{outcome:?}"
    );
    drop(process);
}

/// Instances that serve are no reason not to migrate.
#[test]
fn a_postgresql_database_in_use_is_not() {
    let database = TestDatabase::shared();
    let _process = TestProcess::dev(&database.url);
    said(&run(&["migrate", "--store", &database.url]));
}

const NEWER: &str = "INSERT INTO _sqlx_migrations
    (version, description, installed_on, success, checksum, execution_time)
    VALUES (9999, 'of the future', '2099-01-01', true, '', 0)";

#[test]
fn a_newer_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let sqlite = sqlite(&folder);
    said(&run(&["migrate", "--store", &sqlite]));
    let path = sqlite.strip_prefix("sqlite://").unwrap();
    let connection = rusqlite::Connection::open(Path::new(path)).unwrap();
    connection.execute(NEWER, []).unwrap();
    drop(connection);

    let postgres = TestDatabase::shared();
    said(&run(&["migrate", "--store", &postgres.url]));
    postgres.sql(NEWER);

    for store in [&sqlite, &postgres.url] {
        let outcome = run(&["migrate", "--store", store]);
        let said = refused(&outcome);
        for part in ["newer than this program", "9999", "run a newer kootask"] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}

/// A migration that a later program has made.
fn of_the_future(version: i64, name: &str) -> String {
    format!(
        "ALTER TABLE task ADD COLUMN of_{version} TEXT;
         INSERT INTO _sqlx_migrations
             (version, description, installed_on, success, checksum, execution_time)
         VALUES ({version}, '{name}', '2099-01-01', true, '', 0);"
    )
}

#[tokio::test]
async fn a_newer_schema_is_run_on_where_its_migrations_allow_it_and_refused_where_not() {
    let folder = TempDir::new().unwrap();
    let sqlite = sqlite(&folder);
    let postgres = TestDatabase::shared();
    for store in [&sqlite, &postgres.url] {
        let migrate = |statements: &str| match store.strip_prefix("sqlite://") {
            Some(path) => rusqlite::Connection::open(Path::new(path))
                .unwrap()
                .execute_batch(statements)
                .unwrap(),
            None => drop(postgres.sql(statements)),
        };
        let created = run(&["migrate", "--store", store]);
        let created = said(&created);
        let known = created.trim_end().rsplit(' ').next().unwrap().to_owned();
        migrate(&of_the_future(7000, &format!("expanded since {known}")));
        migrate(&of_the_future(7001, &format!("more of it since {known}")));
        let up_to_date = run(&["migrate", "--store", store]);
        assert!(up_to_date.out.contains("version 7001"), "{up_to_date:?}");
        let process = TestProcess::dev(store);
        process.create(TRANSFER).send().await.task_id();
        drop(process);

        migrate(&of_the_future(7002, "contracted since 7000"));
        for command in [&["migrate"][..], &["dev", "--listen", "127.0.0.1:0"]] {
            let outcome = run(&[command, &["--store", store]].concat());
            assert_eq!(outcome.code, Some(1), "{outcome:?}");
            let said = &outcome.err;
            for part in [
                "version 7002",
                "versions up to 7000",
                &format!("up to {known};"),
            ] {
                assert!(said.contains(part), "{part} in {said}");
            }
        }
    }
}

/// Those before the rule: what knows less has never run on them.
const WITHOUT_A_WORD: [&str; 6] = [
    "sqlite/migrations/0001_tasks.sql",
    "sqlite/migrations/0002_life_cycle.sql",
    "sqlite/migrations/0003_log.sql",
    "sqlite/migrations/0004_clock.sql",
    "postgres/migrations/0001_tasks.sql",
    "postgres/migrations/0002_life_cycle.sql",
];

#[test]
fn each_migration_says_which_oldest_program_may_still_run_on_it() {
    let stores = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    for folder in ["sqlite/migrations", "postgres/migrations"] {
        for entry in std::fs::read_dir(stores.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let number = |text: &str| text.parse::<i64>().ok();
            let version = name.split('_').next().and_then(number).unwrap();
            let stem = name.strip_suffix(".sql").unwrap();
            let since = stem
                .rsplit_once("_since_")
                .and_then(|(_, since)| number(since));
            let path = format!("{folder}/{name}");
            assert!(
                since.is_some_and(|since| since <= version)
                    || WITHOUT_A_WORD.contains(&path.as_str()),
                "{path}: call it {stem}_since_N.sql, after the oldest version that a program must \
                 know to run on it ({version} if all must know it)"
            );
        }
    }
}

#[test]
fn the_password_may_be_in_the_url_or_beside_it_and_is_not_printed() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, SECRET).unwrap();
    let file = file.to_str().unwrap();
    for (is_in_url, environment) in [
        (true, None),
        (false, Some(("KOOTASK__STORE__PASSWORD", SECRET))),
        (false, Some(("KOOTASK__STORE__PASSWORD_FILE", file))),
        // Of another store, perhaps.
        (true, Some(("KOOTASK__STORE__PASSWORD", "wrong"))),
    ] {
        let database = TestDatabase::shared();
        let (bare, with_password) = owner(&database);
        let mut command = migrate();
        command
            .args(["--store", if is_in_url { &with_password } else { &bare }])
            .envs(environment);
        migrate_twice(command, &bare);
    }
}

#[test]
fn what_the_environment_says_for_other_clients_of_postgresql_is_not_heard() {
    let database = TestDatabase::shared();
    let (without_password, with_password) = owner(&database);
    for (name, value) in [
        ("PGHOST", "/nowhere"),
        ("PGHOSTADDR", "127.0.0.1"),
        ("PGPORT", "1"),
        ("PGUSER", "nobody"),
        ("PGDATABASE", "nowhere"),
        ("PGPASSWORD", "wrong"),
        ("PGSSLMODE", "verify-full"),
    ] {
        let mut migrate = migrate();
        migrate.args(["--store", &with_password]).env(name, value);
        said(&outcome(&mut migrate));
    }
    let mut migrate = migrate();
    migrate
        .args(["--store", &without_password])
        .env("PGPASSWORD", SECRET);
    assert!(refused(&outcome(&mut migrate)).contains("password"));
}

/// What cannot be kept from the sessions is refused: nobody would see it.
#[test]
fn what_the_environment_would_make_of_the_sessions_unseen_is_refused_by_its_name() {
    let database = TestDatabase::shared();
    for (name, value) in [
        ("PGOPTIONS", "-c search_path=elsewhere"),
        ("PGSSLCERT", "/nowhere/client.crt"),
        ("PGSSLKEY", "/nowhere/client.key"),
    ] {
        for command in [&["migrate"][..], &["config", "check"]] {
            let mut command_of = kootask();
            command_of
                .args(command)
                .env("KOOTASK__STORE__URL", &database.url)
                .env(name, value);
            let outcome = outcome(&mut command_of);
            assert_ne!(outcome.code, Some(0), "{outcome:?}");
            assert!(outcome.err.contains(name), "{outcome:?}");
            assert!(outcome.err.contains("unset it"), "{outcome:?}");
        }
    }
    assert_eq!(database.sql("SELECT to_regclass('migration_lock')"), "");
    // It is no root that would be used, so nothing is to be refused.
    let mut migrate = migrate();
    migrate
        .args(["--store", &database.url])
        .env("PGSSLROOTCERT", "/nowhere/ca.crt");
    said(&outcome(&mut migrate));
}

#[test]
fn it_says_once_that_it_waits() {
    let database = TestDatabase::shared();
    database.accept_connections(false);
    let mut waiting = migrate()
        .args(["--store", &database.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = BufReader::new(waiting.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    assert!(line.contains("waits for the database"), "{line}");
    assert!(
        line.contains("not currently accepting connections"),
        "{line}"
    );
    database.accept_connections(true);
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

/// Else it would seem to hang, for minutes.
#[test]
fn it_says_that_it_waits_for_another_that_migrates() {
    let database = TestDatabase::shared();
    database.sql("CREATE TABLE migration_lock (id integer PRIMARY KEY)");
    database.sql("INSERT INTO migration_lock VALUES (1)");
    let lock = database.hold("DO 'BEGIN PERFORM id FROM migration_lock FOR UPDATE; END'");
    let mut waiting = migrate()
        .args(["--store", &database.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = BufReader::new(waiting.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    assert!(line.contains("waits for another instance"), "{line}");
    drop(lock);
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

#[test]
fn no_refusal_prints_the_password() {
    let database = TestDatabase::shared();
    let role = database.role("another");
    let wrong = database.url_as(&format!("{role}:{SECRET}"));
    let outcome = run(&["migrate", "--store", &wrong]);
    let said = refused(&outcome);
    assert!(said.contains("password authentication failed"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");

    // Not even one that was mistyped.
    for command in ["migrate", "dev"] {
        for url in [
            &format!("postgres://me:{SECRET}@db"),
            &format!("postgre://me:{SECRET}@db/tasks"),
        ] {
            let outcome = run(&[command, "--store", url]);
            assert_eq!(outcome.code, Some(2), "{outcome:?}");
            assert!(outcome.err.contains("'--store <URL>': "), "{outcome:?}");
            assert!(!outcome.err.contains("hunter2"), "{outcome:?}");
        }
    }
}

/// A password that the service's own store needs stands in the way of no other.
#[test]
fn a_configured_password_is_of_no_matter_to_a_store_without_one() {
    let folder = TempDir::new().unwrap();
    let mut command = kootask();
    command
        .args(["migrate", "--store", &sqlite(&folder)])
        .env("KOOTASK__STORE__URL", "postgres://me@db/tasks")
        .env("KOOTASK__STORE__PASSWORD", SECRET);
    said(&outcome(&mut command));
}
