//! The copy in the repository.

use std::path::Path;

use crate::support::process::kootask;

#[test]
fn the_committed_document_is_what_the_program_prints() {
    let printed = kootask().arg("openapi").output().unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let committed = std::fs::read(path).unwrap_or_default();
    assert!(
        committed == printed.stdout,
        "docs/openapi.json is not up to date; write it anew with\n\n  \
         cargo run -- openapi > docs/openapi.json\n\n\
         (kootask openapi > docs/openapi.json) and look at what changed"
    );
}
