//! What is forgotten first where there is room for no more (FF-TL-14, FF-SEC-04).

/// Everything counts as heard for so much longer. So of what is new the one silent longest goes first, and what was heard for a short while
/// only has little advantage over it: the templates of a flood that is over make room for others.
const CREDIT_NS: f64 = 10e9;

/// How long something has been silent, for each nanosecond that it had been heard before.
///
/// By silence alone, a flood of strangers that are heard once each would drive out an exporter that is heard seldom. By this measure they
/// go first: one that was heard for an hour may be silent for six minutes before it is neglected as much as they are after a second.
pub(crate) fn neglect(first_heard_ns: i64, last_heard_ns: i64, now_ns: i64) -> f64 {
    let between = |from_ns: i64, until_ns: i64| until_ns.saturating_sub(from_ns).max(0) as f64;
    between(last_heard_ns, now_ns) / (between(first_heard_ns, last_heard_ns) + CREDIT_NS)
}

/// The sixteenth part that is neglected most, so that the cost of looking for it is shared: how many they are, and the neglect of the one
/// among them that is neglected least. `None` if there is nothing.
pub(crate) fn most_neglected(neglects: &mut [f64]) -> Option<(usize, f64)> {
    if neglects.is_empty() {
        return None;
    }
    let count = neglects.len() / 16 + 1;
    let (_, least, _) = neglects.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    Some((count, *least))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn who_was_heard_for_long_may_be_silent_for_long() {
        let now_ns = 3600 * S;
        let long_ago = neglect(0, 60 * S, now_ns);
        let once = neglect(now_ns - 5 * S, now_ns - 5 * S, now_ns);
        let for_a_minute = neglect(now_ns - 80 * S, now_ns - 20 * S, now_ns);
        let for_an_hour = neglect(0, now_ns - 60 * S, now_ns);
        let order = [long_ago, once, for_a_minute, for_an_hour];
        assert!(order.is_sorted_by(|a, b| a > b), "{order:?}");
        assert!((neglect(0, 3590 * S, 3950 * S) - neglect(0, 0, S)).abs() < 1e-9);
    }

    #[test]
    fn of_those_heard_once_the_one_silent_longest_goes_first() {
        assert!(neglect(1, 1, 10) > neglect(2, 2, 10));
        assert!(
            neglect(0, S, 2 * S) < neglect(S, S, 2 * S),
            "or the newer one"
        );
        assert!(neglect(20, 20, 10) >= 0.0, "captures go back in time");
        assert!(neglect(i64::MIN, i64::MAX, 0).is_finite());
    }

    #[test]
    fn a_sixteenth_goes() {
        let mut neglects: Vec<f64> = (0..160).map(f64::from).collect();
        assert_eq!(most_neglected(&mut neglects), Some((11, 149.0)));
        assert_eq!(most_neglected(&mut [0.5]), Some((1, 0.5)));
        assert_eq!(most_neglected(&mut []), None);
    }
}
