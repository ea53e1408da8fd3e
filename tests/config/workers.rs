//! `[[auth.workers]]`.

use kootask::config::{Config, Defaults};

use crate::support::credentials::{token, worker};

/// What is wrong with a configuration.
#[track_caller]
fn mistakes(toml: &str) -> String {
    Config::from_toml(toml, Defaults::Serve)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_worker_is_written_as_it_was_read() {
    let toml = worker("one", "a", "[\"acme\", \"umbrella\"]")
        + "task_types = [1]\nexpires_at = \"2027-01-01T00:00:00Z\"\n"
        + &worker("two", "b", "[\"*\"]");
    let written = |toml: &str| {
        Config::from_toml(toml, Defaults::Serve)
            .unwrap()
            .to_string()
    };
    let once = written(&toml);
    for line in [
        "tenants = [\"acme\", \"umbrella\"]",
        "task_types = [1]",
        "tenants = [\"*\"]",
    ] {
        assert!(once.contains(line), "{once}");
    }
    assert_eq!(written(&once), once);
}

#[test]
fn a_worker_says_whose_tasks_it_may_see() {
    for tenants in [
        "[]",
        "\"\"",
        "[\"*\", \"acme\"]",
        "[\"a b\"]",
        "[\"a,b\"]",
        "7",
    ] {
        let told = mistakes(&worker("one", "a", tenants));
        assert!(
            told.contains("auth.workers[0].tenants: must be a list"),
            "{told}"
        );
    }
    let without = worker("one", "a", "[\"*\"]").replace("tenants", "#");
    assert!(mistakes(&without).contains("auth.workers[0].tenants: is missing"));
    for types in ["[]", "[2]", "[\"x\"]"] {
        let toml = worker("one", "a", "[\"*\"]") + &format!("task_types = {types}\n");
        let told = mistakes(&toml);
        assert!(
            told.contains("auth.workers[0].task_types: must be a list"),
            "{told}"
        );
    }
}

#[test]
fn a_name_has_one_scope_and_a_token_stands_in_one_list() {
    let rotated = worker("one", "a", "[\"acme\"]") + &worker("one", "b", "[\"acme\"]");
    assert!(Config::from_toml(&rotated, Defaults::Serve).is_ok());
    let scopes = worker("one", "a", "[\"acme\"]") + &worker("one", "b", "[\"*\"]");
    assert!(mistakes(&scopes).contains("of one name but of two scopes"));
    let twice = worker("one", "a", "[\"*\"]") + &worker("two", "a", "[\"*\"]");
    assert!(mistakes(&twice).contains("are the same token"));
    let both = token("a", "acme") + &worker("one", "a", "[\"*\"]");
    assert!(mistakes(&both).contains("is the same token as entry 0 of tokens"));
}
