//! Issuers that many tenants share: a token of theirs says nothing before its subject is looked at.

/// What is known of an issuer that tenants share.
pub(super) struct SharedIssuer {
    /// The issuer, or what the issuers of all its tenants begin with.
    start: &'static str,
    /// How subjects name the tenant: what comes before the name, and what ends it.
    subject: Option<(&'static str, char)>,
}

const SHARED: &[SharedIssuer] = &[
    known("https://token.actions.githubusercontent.com", Some(("repo:", '/'))),
    known("https://gitlab.com", Some(("project_path:", '/'))),
    known("https://accounts.google.com", None),
    known("https://api.bitbucket.org", None),
    known("https://oidc.circleci.com", None),
    known("https://agent.buildkite.com", Some(("organization:", ':'))),
    known("https://app.terraform.io", Some(("organization:", ':'))),
    known("https://api.pulumi.com/oidc", None),
    known("https://oidc.codefresh.io", Some(("account:", ':'))),
    known("https://oidc.vercel.com", Some(("owner:", ':'))),
    known("https://scalr.io", None),
    known("https://proidc.upbound.io", None),
    known("https://cognito-identity.amazonaws.com", None),
    known("https://login.microsoftonline.com/common", None),
    known("https://login.microsoftonline.com/organizations", None),
    known("https://login.microsoftonline.com/consumers", None),
    known("https://appleid.apple.com", None),
];

/// Claims that name a tenant by a number or identifier which is never given to another one.
const IMMUTABLE_CLAIMS: &[&str] = &[
    "repository_id",
    "repository_owner_id",
    "enterprise_id",
    "project_id",
    "namespace_id",
    "workspaceUuid",
    "repositoryUuid",
    "oidc.circleci.com/project-id",
    "organization_id",
    "pipeline_id",
    "terraform_organization_id",
    "terraform_project_id",
    "terraform_workspace_id",
];

/// What a subject in another grammar than the issuer's own may begin with: claims whose values name a tenant. Claims
/// such as `environment` and `ref` say the same in every tenant's tokens.
const TENANT_KEYS: &[&str] = &[
    "repo",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "enterprise",
    "enterprise_id",
    "project_id",
    "namespace_id",
    "organization_id",
];

const fn known(start: &'static str, subject: Option<(&'static str, char)>) -> SharedIssuer {
    SharedIssuer { start, subject }
}

impl SharedIssuer {
    /// Whether every subject that begins like this is of one tenant; unknown grammars are not judged.
    pub(super) fn fixes_the_tenant(&self, fixed_start: &str) -> bool {
        let Some((before, end)) = self.subject else { return true };
        match fixed_start.strip_prefix(before) {
            Some(tenant) => tenant.find(end).is_some_and(|at| at > 0),
            None if before.starts_with(fixed_start) => false,
            // The tenant chose another grammar of its own: `name:value:` at the least.
            None => {
                let mut parts = fixed_start.split(':');
                parts.next().is_some_and(|key| TENANT_KEYS.contains(&key))
                    && parts.next().is_some_and(|value| !value.is_empty())
                    && parts.next().is_some()
            }
        }
    }
}

/// The entry of a known issuer, or of one below it: some give each tenant an issuer of its own, in which that tenant's
/// projects are still to be told apart. A trailing slash changes nothing.
pub(super) fn shared_issuer(issuer: &str) -> Option<&'static SharedIssuer> {
    SHARED.iter().find(|known| {
        issuer.strip_prefix(known.start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

pub(super) fn is_immutable_claim(name: &str) -> bool {
    IMMUTABLE_CLAIMS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuers_of_the_big_platforms_are_known_to_be_shared() {
        for issuer in [
            "https://token.actions.githubusercontent.com",
            "https://token.actions.githubusercontent.com/",
            "https://token.actions.githubusercontent.com/octo-enterprise",
            "https://gitlab.com",
            "https://accounts.google.com",
            "https://api.bitbucket.org/2.0/workspaces/octo/pipelines-config/identity/oidc",
            "https://oidc.circleci.com/org/00000000-0000-0000-0000-000000000000",
            "https://agent.buildkite.com",
            "https://app.terraform.io",
        ] {
            assert!(shared_issuer(issuer).is_some(), "{issuer}");
        }
        for issuer in
            ["https://gitlab.example.org", "https://gitlab.com.example.org", "https://sts.example.org"]
        {
            assert!(shared_issuer(issuer).is_none(), "{issuer}");
        }
    }

    #[test]
    fn a_glob_over_subjects_has_to_fix_the_tenant() {
        let github = shared_issuer("https://token.actions.githubusercontent.com").unwrap();
        for (start, fixed) in [("repo:octo-org/", true), ("repo:octo-org/s", true), ("repo:octo", false)] {
            assert_eq!(github.fixes_the_tenant(start), fixed, "{start}");
        }
        assert!(github.fixes_the_tenant("repository_owner_id:1234:"));
        for start in [
            "",
            "re",
            "repo:",
            "repo:/",
            "octo-org/",
            "repository_owner_id:12",
            "ref::",
            "environment:production:",
            "ref:refs/heads/main:",
            "job_workflow_ref:octo-org/tools/.github/workflows/deploy.yml@refs/heads/main:",
        ] {
            assert!(!github.fixes_the_tenant(start), "{start}");
        }
    }
}
