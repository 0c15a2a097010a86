//! What is signed by the book is accepted; one change of the form, and it is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use credfed_sigv4_verify::Reason;
use proptest::prelude::*;
use proptest::sample::Index;
use support::post::{Sent, Unsigned, exact, starts_with};

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_form_signed_by_the_book_is_accepted(form in form()) {
        prop_assert_eq!(form.verdict(), Ok(()));
    }

    #[test]
    fn one_change_of_a_form_and_it_is_refused(form in form(), change in change()) {
        if let Some(changed) = change.apply(&form) {
            prop_assert!(changed.verdict().is_err(), "{:?} after {:?}", changed, change);
        }
    }

    /// Whatever a policy says, only the key's holder can have signed it.
    #[test]
    fn another_policy_is_not_what_was_signed(form in form(), policy in "[A-Za-z0-9+/=]{0,60}") {
        prop_assert_eq!(form.with("policy", &policy).verdict(), Err(Reason::SignatureMismatch));
    }
}

/// Fields of random names and values, each matched exactly or by its whole value as a prefix; one to be ignored.
fn form() -> impl Strategy<Value = Sent> {
    let field = ("x-amz-meta-[a-z]{1,6}", "[ -~]{1,20}", any::<bool>());
    let key = "[a-zA-Z0-9/._ é-]{1,20}";
    (key, proptest::collection::btree_map(field.0, (field.1, field.2), 0..5), any::<bool>(), 0..1000_u64)
        .prop_map(|(key, fields, by_name, size)| {
            // A name without directories: the part that counts is all of it.
            let name = key.replace('/', "-");
            let (sent_key, judged) = match by_name {
                true => ("user/${filename}", format!("user/{name}")),
                false => (key.as_str(), key.clone()),
            };
            let mut form = Unsigned::keyed(sent_key, &exact("key", &judged))
                .field("x-ignore-this", "one")
                .condition(&format!("[\"content-length-range\",{size},{size}]"));
            for (name, (value, by_prefix)) in &fields {
                let condition = if *by_prefix { starts_with(name, value) } else { exact(name, value) };
                form = form.field(name, value).condition(&condition);
            }
            form.sign().filename(by_name.then_some(name.as_str())).size(size)
        })
}

#[derive(Debug, Clone)]
enum Change {
    Value(Index, Index, char),
    Shorter(Index),
    Name(Index),
    Dropped(Index),
    Repeated(Index),
    Added(String, String),
    Bucket(String),
    Filename(String),
    Size(bool),
}

fn change() -> impl Strategy<Value = Change> {
    let index = || any::<Index>();
    prop_oneof![
        (index(), index(), "[a-zA-Z0-9]")
            .prop_map(|(field, at, to)| { Change::Value(field, at, to.chars().next().unwrap()) }),
        index().prop_map(Change::Shorter),
        index().prop_map(Change::Name),
        index().prop_map(Change::Dropped),
        index().prop_map(Change::Repeated),
        ("[a-z-]{1,12}", "[ -~]{0,8}").prop_map(|(name, value)| Change::Added(name, value)),
        "[a-z]{1,8}".prop_map(Change::Bucket),
        "[a-z]{1,8}".prop_map(Change::Filename),
        any::<bool>().prop_map(Change::Size),
    ]
}

impl Change {
    /// `None` where the change changes nothing that counts.
    fn apply(&self, form: &Sent) -> Option<Sent> {
        let mut changed = form.clone();
        let len = changed.fields.len();
        match self {
            Self::Value(field, at, to) => {
                let (name, value) = &mut changed.fields[field.index(len)];
                let mut letters: Vec<char> = value.chars().collect();
                if letters.is_empty() || name.starts_with("x-ignore-") {
                    return None;
                }
                let at = at.index(letters.len());
                if letters[at] == *to {
                    return None;
                }
                letters[at] = *to;
                *value = letters.into_iter().collect();
            }
            Self::Shorter(field) => {
                let (name, value) = &mut changed.fields[field.index(len)];
                if name.starts_with("x-ignore-") || value.pop().is_none() {
                    return None;
                }
            }
            Self::Name(field) => {
                let (name, _) = &mut changed.fields[field.index(len)];
                if name.starts_with("x-ignore-") {
                    return None;
                }
                name.push('x');
            }
            Self::Dropped(field) => {
                let (name, _) = changed.fields.remove(field.index(len));
                if name.starts_with("x-ignore-") {
                    return None;
                }
            }
            Self::Repeated(field) => {
                let (name, value) = changed.fields[field.index(len)].clone();
                changed.fields.push((name.to_uppercase(), value));
            }
            Self::Added(name, value) => {
                // A field of the URL's bucket is no change.
                if name.starts_with("x-ignore-") || name == "bucket" {
                    return None;
                }
                changed.fields.push((name.clone(), value.clone()));
            }
            Self::Bucket(bucket) if *bucket == form.bucket => return None,
            Self::Bucket(bucket) => changed.bucket.clone_from(bucket),
            Self::Filename(name) => {
                if form.filename.as_ref().is_none_or(|have| have == name) {
                    return None;
                }
                changed.filename = Some(name.clone());
            }
            Self::Size(larger) => {
                let size = form.size.unwrap();
                changed.size = Some(if *larger { size + 1 } else { size.checked_sub(1)? });
            }
        }
        Some(changed)
    }
}
