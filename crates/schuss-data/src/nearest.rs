//! The name that somebody may have meant.

/// The candidate that differs from `name` by the fewest edits, where these are few: a third of its letters.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
    // The distance takes time and memory in both lengths: no name that is far too long can be near.
    let near = candidates.into_iter().filter(|candidate| candidate.len() <= 2 * name.len());
    let (distance, candidate) = near.map(|candidate| (distance(candidate), candidate)).min()?;
    (distance <= name.len() / 3).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_nearest(name: &str, expected: Option<&str>) {
        assert_eq!(nearest(name, ["digits", "mnist", "fashion-mnist"]), expected, "{name}");
    }

    #[test]
    fn a_name_that_differs_little_is_found() {
        check_nearest("mnits", Some("mnist"));
        check_nearest("MNIST", Some("mnist"));
        check_nearest("fashion_mnist", Some("fashion-mnist"));
        check_nearest("digit", Some("digits"));
        check_nearest("iris", None);
        check_nearest("", None);
    }
}
