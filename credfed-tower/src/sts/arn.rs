//! Names of accounts, users, roles and role sessions, and the ARNs made of them.

use std::error::Error;
use std::fmt;

use sha2::{Digest, Sha256};

/// The account that roles and users live in: twelve digits, in a partition.
///
/// ```
/// use credfed_tower::sts::Account;
///
/// let account = Account::new("123456789012")?;
/// assert_eq!(account.role_arn("reader"), "arn:aws:iam::123456789012:role/reader");
/// let account = account.in_partition("aws-cn")?;
/// assert_eq!(account.user_arn("alice"), "arn:aws-cn:iam::123456789012:user/alice");
/// # Ok::<(), credfed_tower::sts::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    partition: Box<str>,
    id: Box<str>,
}

impl Account {
    /// An account of the partition `aws`.
    ///
    /// # Errors
    /// `id` is not twelve digits.
    pub fn new(id: &str) -> Result<Self, InvalidName> {
        if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidName { what: "account id", rule: "twelve digits" });
        }
        Ok(Self { partition: "aws".into(), id: id.into() })
    }

    /// The same number in another partition, such as `aws-cn`.
    ///
    /// # Errors
    /// `partition` is not 2 to 32 lower-case letters, digits and hyphens.
    pub fn in_partition(mut self, partition: &str) -> Result<Self, InvalidName> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(2..=32).contains(&partition.len()) || !partition.bytes().all(fits) {
            return Err(InvalidName { what: "partition", rule: "2 to 32 of [a-z0-9-]" });
        }
        self.partition = partition.into();
        Ok(self)
    }

    /// The twelve digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `aws`, or what [`in_partition`](Self::in_partition) set.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The ARN of a role. `name` may be led by a path, as in `team/reader`.
    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", self.partition, self.id)
    }

    /// The ARN of a user.
    pub fn user_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:user/{name}", self.partition, self.id)
    }
}

/// A name that does not fit its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName {
    pub(super) what: &'static str,
    pub(super) rule: &'static str,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: it is {}", self.what, self.rule)
    }
}

impl Error for InvalidName {}

/// The parts of a role's ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoleArn<'a> {
    pub(super) partition: &'a str,
    pub(super) account: &'a str,
    /// Without its path.
    pub(super) name: &'a str,
}

impl<'a> RoleArn<'a> {
    pub(super) fn parse(arn: &'a str) -> Option<Self> {
        let (partition, rest) = arn.strip_prefix("arn:")?.split_once(":iam::")?;
        let (account, path) = rest.split_once(":role/")?;
        let name = path.rsplit('/').next()?;
        (!name.is_empty()).then_some(Self { partition, account, name })
    }

    /// The ARN of a session of the role; the role's path is no part of it.
    pub(super) fn session(&self, session_name: &str) -> String {
        format!("arn:{}:sts::{}:assumed-role/{}/{session_name}", self.partition, self.account, self.name)
    }
}

/// `[\w+=,.@-]`, the characters of the names of roles, users, sessions and source identities.
pub(super) fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

/// A stable identifier of 20 characters such as AWS gives to roles (`AROA`) and users (`AIDA`): it follows from the
/// ARN, so every replica knows it.
pub(super) fn unique_id(prefix: &str, arn: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::new().chain_update("credfed unique id\0").chain_update(arn).finalize();
    let mut id = String::with_capacity(prefix.len() + 16);
    id.push_str(prefix);
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in digest.iter().take(10) {
        bits = (bits << 8) | u32::from(byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            id.push(char::from(ALPHABET[((bits >> count) & 31) as usize]));
        }
        bits &= (1 << count) - 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_twelve_digits() {
        for bad in ["", "12345678901", "1234567890123", "12345678901a", "１２３４"] {
            assert!(Account::new(bad).is_err(), "{bad}");
        }
        let account = Account::new("123456789012").unwrap();
        for bad in ["", "a", "AWS", "aws:x", "aws/x"] {
            assert!(account.clone().in_partition(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_session_of_a_role_leaves_its_path_out() {
        let arn = RoleArn::parse("arn:aws:iam::123456789012:role/team/a/reader").unwrap();
        assert_eq!(arn.session("ci"), "arn:aws:sts::123456789012:assumed-role/reader/ci");
        for bad in ["", "arn:aws:iam::1:user/x", "arn:aws:iam::1:role/", "arn:aws:sts::1:assumed-role/a/b"] {
            assert_eq!(RoleArn::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn unique_ids_have_twenty_characters_and_follow_from_the_arn() {
        let id = unique_id("AROA", "arn:aws:iam::123456789012:role/reader");
        assert_eq!(id.len(), 20);
        assert!(id[4..].bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte)));
        assert_eq!(id, unique_id("AROA", "arn:aws:iam::123456789012:role/reader"));
        assert_ne!(id, unique_id("AROA", "arn:aws:iam::123456789012:role/writer"));
    }
}
