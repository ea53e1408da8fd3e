//! `--help`, `--version`, and what is no command.

use super::run;

#[test]
fn help_names_every_command() {
    for arguments in [&["--help"][..], &["-h"], &["help"]] {
        let outcome = run(arguments);
        assert_eq!(outcome.code, Some(0));
        for command in [
            "dev",
            "serve",
            "migrate",
            "sign",
            "openapi",
            "healthcheck",
            "completions",
            "man",
            "config",
        ] {
            assert!(
                outcome.out.contains(&format!("\n  {command}")),
                "{}",
                outcome.out
            );
        }
    }
}

#[test]
fn every_command_has_a_help_that_names_its_options() {
    for (arguments, options) in [
        (
            &["dev", "--help"][..],
            &["--listen", "--store", "--config", "KOOTASK_CONFIG"][..],
        ),
        (
            &["serve", "--help"],
            &["--config", "KOOTASK_CONFIG", "--accept-any-from-network"],
        ),
        (
            &["migrate", "--help"],
            &["--store", "--config", "KOOTASK_CONFIG"],
        ),
        (
            &["config", "check", "--help"],
            &["--config", "KOOTASK_CONFIG"],
        ),
        (
            &["sign", "--help"],
            &[
                "--app-id",
                "--secret-file",
                "--user",
                "--data",
                "--date",
                "--curl",
                "--send",
                "--explain",
                "KOOTASK_APP_SECRET",
                "<METHOD>",
                "<URL>",
            ],
        ),
    ] {
        let outcome = run(arguments);
        assert_eq!(outcome.code, Some(0));
        for option in options {
            assert!(outcome.out.contains(option), "{option} in {}", outcome.out);
        }
    }
}

#[test]
fn what_is_no_command_or_option_ends_with_2() {
    for arguments in [
        &["sreve"][..],
        &["--port", "1"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["config"],
        &["dev", "--listen", "nowhere"],
        &["dev", "--store", "redis://"],
        &["migrate", "--store", "redis://"],
        &["sign"],
    ] {
        let outcome = run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert_eq!(outcome.out, "", "{arguments:?}");
        assert!(!outcome.err.is_empty(), "{arguments:?}");
    }
}

/// What was given is not quoted: a URL may hold a password.
#[test]
fn an_argument_that_is_wrong_is_told_what_is_wanted() {
    for (arguments, expected) in [
        (
            &["dev", "--listen", "19000"][..],
            "invalid value for '--listen <ADDR>': must be an IP address and a port \
             (names are not resolved), such as \"127.0.0.1:8080\"",
        ),
        (
            &["dev", "--listen", "localhost:19000"],
            "(names are not resolved), such as \"127.0.0.1:8080\"",
        ),
        (
            &["dev", "--store", "tasks.db"],
            "invalid value for '--store <URL>': must be memory:, sqlite://PATH or postgres://…",
        ),
        (
            &["migrate", "--store", "sqlite://tasks.db?mode=rwc"],
            "invalid value for '--store <URL>': a SQLite store has no parameters",
        ),
    ] {
        let outcome = run(arguments);
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.err.contains(expected), "{}", outcome.err);
    }
}

#[test]
fn the_reference_of_all_settings_is_printed() {
    let outcome = run(&["config", "default"]);
    assert_eq!((outcome.code, &*outcome.err), (Some(0), ""));
    assert_eq!(outcome.out, kootask::config::Config::reference());
}
