//! `[[….allow]]` of the keys file and of the roles file: what may be done where.
//!
//! A role's prefix may name claims of the session in braces, each one a whole segment: `users/{subject}/`. A claim
//! is data: its value is put in once and read as nothing but a name, so one that is missing, or that is more than
//! one plain segment, makes the grant cover nothing.

use std::fmt;

use serde::Deserialize;
use toml::Spanned;

use crate::config_file::{Fault, Text};
use crate::names::{BucketName, KeyPrefix};
use crate::rights::{Action, Buckets, Grant};

/// One `allow` as it stands in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowEntry {
    bucket: Spanned<Text>,
    prefix: Option<Spanned<Text>>,
    actions: Spanned<Vec<Spanned<Text>>>,
}

/// A grant that becomes one with the claims of a session.
#[derive(Clone, Debug)]
pub(crate) struct GrantTemplate {
    buckets: Buckets,
    prefix: Vec<Part>,
    actions: Vec<Action>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Claim(Claim),
}

/// What a prefix may be made of. Not the session's name, which the caller chooses freely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Subject,
    SourceIdentity,
    Tag(String),
}

const PREFIX: &str =
    "prefix needs a text that does not start with \"/\" and has no empty, \".\" or \"..\" segment";

impl AllowEntry {
    /// A grant whose prefix is meant to the letter.
    pub(crate) fn grant(self) -> Result<Grant, Fault> {
        let (buckets, actions) = (self.buckets()?, self.actions()?);
        let prefix = match self.prefix {
            None => KeyPrefix::default(),
            Some(prefix) => KeyPrefix::parse(prefix.get_ref().as_str().to_owned())
                .ok_or_else(|| Fault::new(prefix.span(), PREFIX))?,
        };
        Ok(Grant { buckets, prefix, actions })
    }

    /// A grant whose prefix may name claims.
    pub(crate) fn template(self) -> Result<GrantTemplate, Fault> {
        let (buckets, actions) = (self.buckets()?, self.actions()?);
        let prefix = match self.prefix {
            None => Vec::new(),
            Some(prefix) => {
                parts(prefix.get_ref().as_str()).map_err(|what| Fault::new(prefix.span(), what))?
            }
        };
        Ok(GrantTemplate { buckets, prefix, actions })
    }

    fn buckets(&self) -> Result<Buckets, Fault> {
        match self.bucket.get_ref().as_str() {
            "*" => Ok(Buckets::Any),
            name => BucketName::parse(name).map(Buckets::Named).ok_or_else(|| {
                Fault::new(self.bucket.span(), "bucket needs the name of one bucket, or \"*\" for every one")
            }),
        }
    }

    fn actions(&self) -> Result<Vec<Action>, Fault> {
        let mut actions = Vec::new();
        for name in self.actions.get_ref() {
            let action = Action::ALL.into_iter().find(|action| action.name() == name.get_ref().as_str());
            let what = "actions are read, write, delete, list and administer";
            actions.push(action.ok_or_else(|| Fault::new(name.span(), what))?);
        }
        if actions.is_empty() {
            return Err(Fault::new(self.actions.span(), "actions is empty: this grant allows nothing"));
        }
        Ok(actions)
    }
}

impl GrantTemplate {
    /// Everything, everywhere, in so many words.
    pub(crate) fn everything() -> Self {
        Self { buckets: Buckets::Any, prefix: Vec::new(), actions: Action::ALL.to_vec() }
    }

    /// Whether it puts in the subject of the web identity.
    pub(crate) fn names_the_subject(&self) -> bool {
        self.prefix.contains(&Part::Claim(Claim::Subject))
    }

    /// The grant of one session; none where a claim that it names is missing or is no plain segment.
    pub(crate) fn of<'a>(&self, claim: impl Fn(&Claim) -> Option<&'a str>) -> Option<Grant> {
        let mut prefix = String::new();
        for part in &self.prefix {
            match part {
                Part::Literal(text) => prefix.push_str(text),
                Part::Claim(name) => prefix.push_str(claim(name).filter(|value| is_one_segment(value))?),
            }
        }
        let prefix = KeyPrefix::parse(prefix)?;
        Some(Grant { buckets: self.buckets.clone(), prefix, actions: self.actions.clone() })
    }
}

/// What can stand between two slashes of a key and be read in one way only.
fn is_one_segment(value: &str) -> bool {
    !matches!(value, "" | "." | "..")
        && value.len() <= 256
        && !value.chars().any(|character| character.is_control() || matches!(character, '/' | '\\'))
}

fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let (mut rest, mut legible) = (text, String::new());
    while let Some(open) = rest.find(['{', '}']) {
        let (literal, name) = rest.split_at(open);
        let name = name.strip_prefix('{').ok_or("prefix has a \"}\" that closes nothing")?;
        let (name, after) = name.split_once('}').ok_or("prefix has a \"{\" that nothing closes")?;
        let starts_a_segment = literal.ends_with('/') || (literal.is_empty() && parts.is_empty());
        if !starts_a_segment || !after.starts_with('/') {
            return Err(format!("prefix needs \"/\" before and after {{{}}}", Legible(name)));
        }
        if !literal.is_empty() {
            legible.push_str(literal);
            parts.push(Part::Literal(literal.to_owned()));
        }
        parts.push(Part::Claim(Claim::parse(name)?));
        legible.push('x');
        rest = after;
    }
    if !rest.is_empty() {
        legible.push_str(rest);
        parts.push(Part::Literal(rest.to_owned()));
    }
    match KeyPrefix::parse(legible) {
        Some(_) => Ok(parts),
        None => Err(PREFIX.to_owned()),
    }
}

impl Claim {
    fn parse(name: &str) -> Result<Self, String> {
        match name.split_once(':') {
            None if name == "subject" => Ok(Self::Subject),
            None if name == "source_identity" => Ok(Self::SourceIdentity),
            Some(("tag", key)) if (1..=128).contains(&key.len()) => Ok(Self::Tag(key.to_owned())),
            _ => Err(format!(
                "prefix names {{{}}}: it can name {{subject}}, {{source_identity}} and {{tag:KEY}}",
                Legible(name)
            )),
        }
    }
}

/// The beginning of a text, on one line.
struct Legible<'a>(&'a str);

impl fmt::Display for Legible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().filter(|character| !character.is_control()).take(40).try_for_each(|c| write!(f, "{c}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::names::ObjectKey;
    use crate::rights::{Extent, Need, Rights};

    fn template(prefix: &str) -> Result<GrantTemplate, String> {
        Ok(GrantTemplate { buckets: Buckets::Any, prefix: parts(prefix)?, actions: vec![Action::Read] })
    }

    fn covers(template: &GrantTemplate, subject: Option<&str>, key: &str) -> bool {
        let grant = template.of(|claim| match claim {
            Claim::Subject => subject,
            _ => None,
        });
        let rights = Rights { list_buckets: false, grants: grant.into_iter().collect() };
        rights.cover(&Need::In {
            bucket: BucketName::parse("home").unwrap(),
            action: Action::Read,
            extent: Extent::Key(ObjectKey::parse(key.to_owned()).unwrap()),
        })
    }

    #[test]
    fn a_claim_selects_its_own_folder_and_no_other() {
        let own = template("users/{subject}/").unwrap();
        assert!(covers(&own, Some("alice"), "users/alice/notes"));
        assert!(!covers(&own, Some("alice"), "users/alice2/notes"));
        assert!(!covers(&own, Some("ali"), "users/alice/notes"));
        assert!(!covers(&own, None, "users/alice/notes"));
    }

    #[test]
    fn a_claim_is_data() {
        let own = template("users/{subject}/").unwrap();
        for subject in ["", ".", "..", "a/b", "../bob", "a\\b", "a\nb", "{tag:team}"] {
            assert!(!covers(&own, Some(subject), "users/bob/notes"), "{subject}");
        }
        for deeper in ["a/b", "a\\b"] {
            assert!(!covers(&own, Some(deeper), &format!("users/{deeper}/notes")), "{deeper}");
        }
        // Braces in a value are letters.
        assert!(covers(&own, Some("{subject}"), "users/{subject}/notes"));
        assert!(!covers(&own, Some("*"), "users/bob/notes"));
        assert!(!covers(&own, Some(&"x".repeat(257)), &format!("users/{}/n", "x".repeat(257))));
    }

    #[test]
    fn a_template_that_could_be_misread_is_refused() {
        for (prefix, says) in [
            ("users/{subject}", "before and after"),
            ("users/x{subject}/", "before and after"),
            ("{subject}{tag:a}/", "before and after"),
            ("users/{subject/", "nothing closes"),
            ("users/subject}/", "closes nothing"),
            ("users/{session_name}/", "it can name"),
            ("users/{tag:}/", "it can name"),
            ("users/{}/", "it can name"),
            ("/{subject}/", "prefix needs a text"),
            ("a//{subject}/", "prefix needs a text"),
            ("../{subject}/", "prefix needs a text"),
        ] {
            let refused = template(prefix).unwrap_err();
            assert!(refused.contains(says), "{prefix}: {refused}");
        }
        assert_eq!(
            template("{subject}/{tag:team}/in/").unwrap().prefix,
            [
                Part::Claim(Claim::Subject),
                Part::Literal("/".to_owned()),
                Part::Claim(Claim::Tag("team".to_owned())),
                Part::Literal("/in/".to_owned())
            ]
        );
    }

    proptest! {
        #[test]
        fn no_claim_reaches_outside_its_folder(subject in ".{0,40}", other in "[a-z]{1,8}") {
            let own = template("users/{subject}/").unwrap();
            prop_assume!(subject != other);
            let key = format!("users/{other}/notes");
            prop_assert!(!covers(&own, Some(&subject), &key));
        }

        #[test]
        fn any_text_is_a_template_or_an_error(text in ".{0,60}") {
            let _ = template(&text);
        }
    }
}
