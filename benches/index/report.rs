//! The figures, side by side.

use crate::measure::Cost;

/// Prints how to read what follows.
pub(crate) fn print_head() {
    println!(
        "index: idempotency keys in sorted runs, as the store keeps them, and in a plain B-tree"
    );
    println!(
        "\n{:<42} {:>12} {:>12} {:>8}",
        "", "sorted runs", "B-tree", "ratio"
    );
}

/// Prints what was measured of stores of this size. A ratio above 1 speaks for the
/// sorted runs.
pub(crate) fn print_size(
    size: u64,
    inserts: &[(u64, [Cost; 2])],
    found: &[Cost; 2],
    absent: &[Cost; 2],
    file_bytes: [u64; 2],
) {
    println!("{size} keys");
    for (batch, costs) in inserts {
        let [runs, tree] = costs.map(Cost::rate);
        let name = format!("  inserts a second, {batch} a commit");
        print_row(&name, [runs, tree], runs / tree);
        let written = costs.map(Cost::bytes_a_key);
        print_row(
            "    bytes written for each",
            written,
            written[1] / written[0],
        );
    }
    for (name, costs) in [("a key that is there", found), ("one that is not", absent)] {
        let micros = costs.map(Cost::micros);
        let name = format!("  lookup of {name}, µs");
        print_row(&name, micros, micros[1] / micros[0]);
    }
    let each = file_bytes.map(|bytes| bytes as f64 / size as f64);
    print_row("  bytes of the file for each", each, each[1] / each[0]);
}

fn print_row(name: &str, [runs, tree]: [f64; 2], ratio: f64) {
    let digits = usize::from(runs.min(tree) < 100.0);
    println!("{name:<42} {runs:>12.digits$} {tree:>12.digits$} {ratio:>8.2}");
}
