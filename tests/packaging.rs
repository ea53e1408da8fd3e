//! What is shipped beside the program: the image and the configuration files.

use std::path::{Path, PathBuf};

use kootask::config::{Config, Defaults};
use kootask::store::StoreUrl;

use crate::support::process::kootask;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The name of the program as it is built.
fn program() -> &'static str {
    Path::new(env!("CARGO_BIN_EXE_kootask"))
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
}

/// The Dockerfile's instructions: name and arguments, continued lines joined.
struct Dockerfile(Vec<(String, String)>);

impl Dockerfile {
    fn read() -> Self {
        let text = text("Dockerfile");
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'));
        let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let instructions = joined.lines().filter_map(|line| {
            let (name, arguments) = line.trim().split_once(' ')?;
            Some((name.to_uppercase(), arguments.trim().to_owned()))
        });
        Self(instructions.collect())
    }

    /// The stage of this name with all that it stands on, the lowest first.
    fn stage(&self, name: &str) -> Vec<&(String, String)> {
        let named = |(instruction, arguments): &(String, String)| {
            instruction == "FROM" && arguments.ends_with(&format!(" AS {name}"))
        };
        let Some(start) = self.0.iter().position(named) else {
            return Vec::new();
        };
        let base = self.0[start].1.split(' ').next().unwrap();
        let own = self.0[start + 1..]
            .iter()
            .take_while(|(instruction, _)| instruction != "FROM");
        self.stage(base).into_iter().chain(own).collect()
    }

    /// All that this instruction is given in the stage that is shipped, the last.
    fn shipped(&self, instruction: &str) -> Vec<&str> {
        let last = self.0.iter().rfind(|(name, _)| name == "FROM").unwrap();
        self.given(last.1.rsplit(' ').next().unwrap(), instruction)
    }

    fn given(&self, stage: &str, instruction: &str) -> Vec<&str> {
        let of = self.stage(stage).into_iter();
        of.filter(|(name, _)| name == instruction)
            .map(|(_, arguments)| arguments.as_str())
            .collect()
    }

    /// The one time that this instruction is given in the last stage.
    fn only(&self, instruction: &str) -> &str {
        let all = self.shipped(instruction);
        assert_eq!(all.len(), 1, "{instruction}: {all:?}");
        all[0]
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        let pairs = self
            .shipped("ENV")
            .into_iter()
            .flat_map(str::split_whitespace);
        pairs.map(|pair| pair.split_once('=').unwrap()).collect()
    }
}

#[test]
fn the_image_runs_the_program_as_a_service() {
    let dockerfile = Dockerfile::read();
    let list = |instruction| -> Vec<String> {
        serde_json::from_str(dockerfile.only(instruction)).unwrap()
    };
    assert_eq!(list("ENTRYPOINT"), [program()]);
    assert_eq!(list("CMD"), ["serve"]);
}

#[test]
fn the_image_for_tests_is_the_stand_in_without_a_command() {
    let dockerfile = Dockerfile::read();
    assert_eq!(dockerfile.given("dev", "CMD"), [r#"["dev"]"#]);
    assert_eq!(
        dockerfile.given("dev", "ENTRYPOINT"),
        dockerfile.shipped("ENTRYPOINT")
    );
}

/// The dependencies are built before the sources are there, with a stand-in for
/// each target: the manifest must name them all, or cargo would look for files.
#[test]
fn the_manifest_names_the_file_of_every_target() {
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let targets = ["bin", "test", "bench", "example"]
        .into_iter()
        .filter_map(|kind| manifest.get(kind)?.as_array())
        .flatten();
    let targets: Vec<_> = targets.chain(manifest.get("lib")).collect();
    assert!(targets.len() > 3, "{targets:?}");
    let instructions = text("Cargo.toml");
    for target in targets {
        let path = target.get("path").and_then(|path| path.as_str()).unwrap();
        assert!(
            instructions.contains(&format!("\npath = \"{path}\"\n")),
            "{path}"
        );
    }
}

#[test]
fn the_program_is_copied_by_the_name_it_is_built_with() {
    let dockerfile = Dockerfile::read();
    let copies = dockerfile.shipped("COPY");
    let copied = |line: &&&str| {
        line.split(' ')
            .any(|path| path.ends_with(&format!("/target/release/{}", program())))
    };
    let copy = copies
        .iter()
        .find(copied)
        .unwrap_or_else(|| panic!("{copies:?}"));
    let destination = copy.rsplit(' ').next().unwrap();
    assert_eq!(destination, format!("/usr/local/bin/{}", program()));
}

#[test]
fn the_image_does_not_run_as_root() {
    let dockerfile = Dockerfile::read();
    let user = dockerfile
        .only("USER")
        .split(':')
        .next()
        .unwrap()
        .to_owned();
    assert!(!["root", "0", ""].contains(&user.as_str()), "{user}");
}

#[test]
fn the_image_listens_where_it_says() {
    let dockerfile = Dockerfile::read();
    let listen = ("KOOTASK__SERVER__LISTEN", "0.0.0.0:8080");
    let operations = ("KOOTASK__SERVER__OPS_LISTEN", "0.0.0.0:8081");
    assert!(dockerfile.environment().contains(&listen));
    assert!(dockerfile.environment().contains(&operations));
    assert_eq!(dockerfile.only("EXPOSE"), "8080 8081");
}

#[test]
fn the_images_health_is_asked_by_the_program() {
    let dockerfile = Dockerfile::read();
    let (_, check) = dockerfile.only("HEALTHCHECK").split_once(" CMD ").unwrap();
    let check: Vec<String> = serde_json::from_str(check).unwrap();
    assert_eq!(check[0], program());
    let output = kootask().args(&check[1..]).arg("--help").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_images_volume_holds_its_store() {
    let dockerfile = Dockerfile::read();
    let url = dockerfile
        .environment()
        .into_iter()
        .find(|(name, _)| *name == "KOOTASK__STORE__URL");
    let url = match url {
        Some((_, url)) => url.parse().unwrap(),
        None => Config::from_toml("", Defaults::Serve).unwrap().store.url,
    };
    let StoreUrl::Sqlite(file) = url else {
        panic!("nothing outlives the container in {url}");
    };
    let working_directory = dockerfile.shipped("WORKDIR").pop().unwrap_or("/");
    let folder = Path::new(working_directory).join(file.parent().unwrap());
    assert_eq!(dockerfile.only("VOLUME"), folder.to_str().unwrap());
}

#[test]
fn the_images_environment_is_a_valid_configuration() {
    let dockerfile = Dockerfile::read();
    let output = kootask()
        .args(["config", "check"])
        .envs(dockerfile.environment())
        .env("KOOTASK__AUTH__MODE", "accept-any")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_the_image_is_built_of_is_there() {
    for (name, arguments) in &Dockerfile::read().0 {
        let paths: Vec<_> = arguments
            .split(' ')
            .filter(|word| !word.starts_with("--"))
            .collect();
        if name == "COPY" && !arguments.contains("--from=") {
            for source in &paths[..paths.len() - 1] {
                assert!(project(source).exists(), "{source}");
            }
        }
    }
}

/// A file of ours as it is when every key in it is set: a line like `#key = …`
/// or `#[[list]]` is one, a line like `# text` is not.
fn uncommented(text: &str, keep: impl Fn(&str) -> bool) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            if keep(setting) {
                setting
            } else {
                ""
            }
        }
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `kootask config default > config/default.toml` brings it up to date.
#[test]
fn the_default_file_is_what_the_program_declares() {
    assert_eq!(text("config/default.toml"), Config::reference());
}

#[test]
fn the_default_file_changes_nothing() {
    for defaults in [Defaults::Serve, Defaults::Dev] {
        let file = Config::from_toml(&text("config/default.toml"), defaults).unwrap();
        let none = Config::from_toml("", defaults).unwrap();
        assert_eq!(file.to_string(), none.to_string());
    }
}

/// The default file with every key set, and each path in it to a secret's file.
fn everything_set(folder: &Path) -> Config {
    let secret = folder.join("secret");
    std::fs::write(&secret, "a secret of some length").unwrap();
    let text = text("config/default.toml");
    // Not for SQLite, or given another way beside.
    let left_out = [
        "password = ",
        "password_file = ",
        "app_secret = ",
        "jwks_url = ",
    ];
    let settings = uncommented(&text, |line| {
        !left_out.iter().any(|setting| line.starts_with(setting))
    });
    let settings: Vec<_> = settings
        .lines()
        .map(|line| match line.starts_with("app_secret_file = ") {
            true => format!("app_secret_file = '{}'", secret.display()),
            false => line.to_owned(),
        })
        .collect();
    Config::from_toml(&settings.join("\n"), Defaults::Dev).unwrap()
}

#[test]
fn every_example_in_the_default_file_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let config = everything_set(folder.path());
    assert_eq!(config.auth.apps.len(), 1);
    assert_eq!(config.auth.tokens.len(), 1);
    assert!(config.directory.file.is_some());
    assert!(config.auth.jwt.is_some());
    assert!(text("config/default.toml").contains("\n#app_secret = "));
}

/// What `kootask config check` says of this file's text, once the secrets are there.
fn checked(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = String::new();
    let mut secrets = 0;
    for line in text.lines() {
        if line.starts_with("app_secret_file = ") {
            let path = folder.path().join(secrets.to_string());
            std::fs::write(&path, "a secret of some length\n").unwrap();
            settings.push_str(&format!("app_secret_file = '{}'\n", path.display()));
            secrets += 1;
        } else {
            settings.push_str(&format!("{line}\n"));
        }
    }
    assert!(secrets > 0, "{text}");
    let file = folder.path().join("kootask.toml");
    std::fs::write(&file, settings).unwrap();
    let output = kootask()
        .args(["config", "check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_production_file_is_valid_once_its_secrets_are_there() {
    let said = checked(&text("config/production.toml"));
    assert!(
        said.contains("mode = \"verify\"") && said.contains("sqlite:///"),
        "{said}"
    );
}

#[test]
fn the_configuration_for_kubernetes_is_valid_once_its_secrets_are_there() {
    let map = text("deploy/kubernetes/base/config-map.yaml");
    let (_, block) = map.split_once("\n  kootask.toml: |\n").unwrap();
    let settings: Vec<_> = block
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    let said = checked(&settings.join("\n"));
    assert!(said.contains("drain_delay = \"5s\""), "{said}");
}

#[test]
fn no_shipped_file_holds_a_secret() {
    for path in [
        "config/production.toml",
        "config/default.toml",
        "Dockerfile",
        "compose.yaml",
        "deploy/kubernetes/base/config-map.yaml",
        "deploy/kubernetes/postgres/deployment.yaml",
        "deploy/kubernetes/sqlite/stateful-set.yaml",
        "deploy/systemd/kootask.service",
    ] {
        for line in text(path).lines() {
            let setting = line.trim_start_matches('#').trim_start().to_lowercase();
            let is_secret = setting.starts_with("app_secret =") || setting.contains("app_secret=");
            assert!(
                !is_secret || setting == "app_secret = \"…\"",
                "{path}: {line}"
            );
        }
    }
}
