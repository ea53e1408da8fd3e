//! Imports point down: `docs/architecture.md` draws the rooms, this holds the
//! sources to it.

mod imports;

use std::collections::BTreeSet;
use std::path::Path;

use self::imports::Import;

/// The rooms from the top to the bottom, each with those it may import. A room
/// imports rooms below it alone, so there can be no circle.
const ROOMS: [(&str, &[&str]); 21] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "server", "app", "config", "ops", "api", "auth", "store", "reload", "shutdown",
            "logging", "traces", "tls", "web", "task",
        ],
    ),
    ("server", &["app", "ops", "shutdown", "tls", "web"]),
    (
        "app",
        &[
            "config",
            "ops",
            "api",
            "tenant",
            "worker",
            "stand_in",
            "auth",
            "store",
            "directory",
            "tls",
            "reload",
            "shutdown",
            "web",
            "task",
        ],
    ),
    // The types of values that are configured.
    (
        "config",
        &["stand_in", "auth", "wire", "store", "tls", "web", "task"],
    ),
    ("ops", &["web", "task"]),
    ("api", &["auth", "wire", "web", "task"]),
    ("tenant", &["auth", "wire", "web", "task"]),
    ("worker", &["auth", "wire", "web", "task"]),
    ("stand_in", &["auth", "web", "task"]),
    ("auth", &["reload", "web", "task"]),
    ("wire", &["web", "task"]),
    ("store", &["task"]),
    ("directory", &["reload", "task"]),
    ("tls", &["reload"]),
    ("reload", &[]),
    ("shutdown", &[]),
    ("logging", &[]),
    ("traces", &[]),
    ("web", &[]),
    ("task", &[]),
];

fn position(room: &str) -> Option<usize> {
    ROOMS.iter().position(|(name, _)| *name == room)
}

/// What this import does that it may not, if it may not.
fn fault(import: &Import) -> Option<String> {
    let Import { from, to, .. } = import;
    let allowed = ROOMS.iter().find(|(name, _)| name == from);
    let Some((_, allowed)) = allowed else {
        return Some(format!("{import}: the room {from} is not drawn"));
    };
    if allowed.contains(&to.as_str()) {
        return None;
    }
    Some(match (position(from), position(to)) {
        (Some(one), Some(other)) if other < one => format!("{import}: up"),
        (_, Some(_)) => format!("{import}: down, but not drawn"),
        (_, None) => format!("{import}: to a room that is not drawn"),
    })
}

fn imports() -> Vec<Import> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    ["main.rs", "lib.rs"]
        .iter()
        .flat_map(|root| imports::of_crate(&sources, root))
        .collect()
}

#[test]
fn no_import_runs_up() {
    let imports = imports();
    assert!(imports.len() > 100, "only {} were read", imports.len());
    let faults: BTreeSet<_> = imports.iter().filter_map(fault).collect();
    let faults: Vec<_> = faults.into_iter().collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_rooms_are_drawn_from_the_top_to_the_bottom() {
    for (room, allowed) in ROOMS {
        for below in allowed {
            assert!(position(below) > position(room), "{room} -> {below}");
        }
    }
}

/// The names within backticks.
fn names(cell: &str) -> BTreeSet<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_document_draws_the_same_rooms() {
    let text = include_str!("../../docs/architecture.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.split(" | ").collect();
        let [_, _, may_import] = cells[..] else {
            return None;
        };
        Some((names(line.split(" | ").next()?), may_import))
    });
    let rows: Vec<_> = rows.collect();
    let is_drawn = |room: &str| rows.iter().any(|(rooms, _)| rooms.contains(room));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        let room = path.file_stem().unwrap().to_str().unwrap();
        assert!(room == "lib" || is_drawn(room), "{room} has no row");
    }
    for (room, allowed) in ROOMS {
        let Some((_, may_import)) = rows.iter().find(|(rooms, _)| rooms.contains(room)) else {
            continue;
        };
        let expected = allowed.iter().copied().filter(|room| is_drawn(room));
        let expected: BTreeSet<_> = expected.collect();
        // Of those that put others together the row says so in words.
        if may_import.contains('`') || expected.is_empty() {
            assert_eq!(names(may_import), expected, "{room}");
        }
    }
}

#[test]
fn an_import_that_runs_up_is_named() {
    let text = "use crate::{api::{self, create::Create}, task};\n";
    let imports = imports::of_text("store/row.rs", &["store", "row"], text);
    let faults: Vec<_> = imports.iter().filter_map(fault).collect();
    assert_eq!(
        faults,
        [
            "src/store/row.rs:1: store -> api (crate::api): up",
            "src/store/row.rs:1: store -> api (crate::api::create::Create): up",
        ]
    );
}
