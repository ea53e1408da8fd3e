//! How far everybody's leases rise when tasks are given out fairly.

/// Up to which number of leases everybody is raised when this many more go, one after
/// the other, to whoever has the fewest.
pub(super) fn level(holds: impl Iterator<Item = usize> + Clone, wanted: usize) -> usize {
    let Some(fewest) = holds.clone().min() else {
        return 0;
    };
    let (mut low, mut high) = (fewest, fewest.saturating_add(wanted));
    while low < high {
        let middle = low.midpoint(high);
        let raised: usize = holds
            .clone()
            .map(|holds| middle.saturating_sub(holds))
            .fold(0, usize::saturating_add);
        if raised >= wanted {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_level_is_that_of_giving_one_after_the_other(
            holds in proptest::collection::vec(0_usize..20, 1..8), wanted in 0_usize..60
        ) {
            let mut given = holds.clone();
            for _ in 0..wanted {
                let fewest = given.iter_mut().min().unwrap();
                *fewest = fewest.saturating_add(1);
            }
            let level = level(holds.iter().copied(), wanted);
            for (before, after) in holds.iter().zip(&given) {
                prop_assert!(*after <= level.max(*before));
            }
            let touched = holds.iter().zip(&given).filter(|(before, after)| before < after);
            if let Some(highest) = touched.map(|(_, after)| *after).max() {
                prop_assert_eq!(highest, level);
            }
        }
    }
}
