//! Session tags: what may be passed, and what a chain hands on.

use std::collections::BTreeSet;

use super::error::StsError;

const MOST_TAGS: usize = 50;

/// A tag of a session that is about to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) transitive: bool,
}

impl Tag {
    /// 1 to 128 characters.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// 0 to 256 characters.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether sessions that this one assumes inherit it.
    pub fn is_transitive(&self) -> bool {
        self.transitive
    }
}

/// Joins the tags that were passed with those that were inherited, or says which rule they break:
/// keys are unique without regard to case and do not begin with `aws:`, transitive keys are keys that were passed,
/// and an inherited key cannot be passed again.
pub(super) fn joined(
    passed: Vec<(String, String)>,
    transitive: Vec<String>,
    inherited: Vec<Tag>,
) -> Result<Vec<Tag>, StsError> {
    let mut keys: BTreeSet<String> = inherited.iter().map(|tag| folded(&tag.key)).collect();
    let mut marked = BTreeSet::new();
    for key in &transitive {
        if !marked.insert(folded(key)) {
            return Err(StsError::Tags("A transitive tag key occurs more than once"));
        }
    }
    let mut tags = inherited;
    for (key, value) in passed {
        check(&key, &value)?;
        let same = folded(&key);
        if !keys.insert(same.clone()) {
            return Err(StsError::Tags(
                "A tag key is inherited, or occurs more than once; case does not matter",
            ));
        }
        let transitive = marked.remove(&same);
        tags.push(Tag { key, value, transitive });
    }
    if !marked.is_empty() {
        return Err(StsError::Tags("A transitive tag key is not among the tags that were passed"));
    }
    if tags.len() > MOST_TAGS {
        return Err(StsError::Tags("A session has at most 50 tags"));
    }
    Ok(tags)
}

fn check(key: &str, value: &str) -> Result<(), StsError> {
    if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
        return Err(StsError::Tags("A tag key has 1 to 128 characters, a value at most 256"));
    }
    if folded(key).starts_with("aws:") {
        return Err(StsError::Tags("Tag keys that begin with aws: are reserved"));
    }
    let fits = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    if !key.chars().all(fits) || !value.chars().all(fits) {
        return Err(StsError::Tags("Tags consist of letters, digits, blanks and _.:/=+-@"));
    }
    Ok(())
}

fn folded(key: &str) -> String {
    key.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    fn inherited(key: &str) -> Tag {
        Tag { key: key.into(), value: "x".into(), transitive: true }
    }

    #[test]
    #[allow(clippy::type_complexity, reason = "a table")]
    fn tags_that_break_a_rule_are_refused() {
        let table: [(&str, Vec<(String, String)>, Vec<&str>, Vec<Tag>); 10] = [
            ("the same key", vec![pair("team", "a"), pair("team", "b")], vec![], vec![]),
            ("in other case", vec![pair("team", "a"), pair("TEAM", "b")], vec![], vec![]),
            ("reserved", vec![pair("aws:team", "a")], vec![], vec![]),
            ("reserved in other case", vec![pair("AWS:team", "a")], vec![], vec![]),
            ("empty key", vec![pair("", "a")], vec![], vec![]),
            ("long key", vec![pair(&"k".repeat(129), "a")], vec![], vec![]),
            ("long value", vec![pair("k", &"v".repeat(257))], vec![], vec![]),
            ("inherited", vec![pair("Team", "x")], vec![], vec![inherited("team")]),
            ("transitive, not passed", vec![pair("team", "a")], vec!["project"], vec![]),
            ("control character", vec![pair("team", "a\nb")], vec![], vec![]),
        ];
        for (case, passed, transitive, inherited) in table {
            let transitive = transitive.into_iter().map(String::from).collect();
            assert!(matches!(joined(passed, transitive, inherited), Err(StsError::Tags(_))), "{case}");
        }
        let many = |count: usize| (0..count).map(|n| pair(&format!("k{n}"), "")).collect();
        assert!(joined(many(50), vec![], vec![]).is_ok());
        assert!(joined(many(50), vec![], vec![inherited("team")]).is_err());
    }

    #[test]
    fn what_was_inherited_stays_transitive_and_what_was_passed_is_marked() {
        let tags = joined(
            vec![pair("project", "p"), pair("Zone", "z")],
            vec!["zone".into()],
            vec![inherited("team")],
        );
        let tags: Vec<_> = tags.unwrap().into_iter().map(|tag| (tag.key, tag.transitive)).collect();
        assert_eq!(tags, [("team".into(), true), ("project".into(), false), ("Zone".into(), true)]);
    }
}
