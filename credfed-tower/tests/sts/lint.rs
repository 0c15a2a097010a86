//! Dangerous trust is found before it is served, and admits nobody where it is served nevertheless.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use credfed_core::oidc::AssertionClaims;
use credfed_tower::sts::danger::Knobs;
use credfed_tower::sts::{
    Account, IssuerFacts, Pattern, Role, RoleTable, Roles, RolesUnavailable, Rule, Severity, Trust, lint,
};

use crate::support::run;
use crate::world::{
    ALICE, AUDIENCE, GITHUB, ISSUER, World, account, alice, claims, role, signed_token, token, trusted,
};

fn facts() -> IssuerFacts {
    IssuerFacts::of(&trusted()).issuer("https://shared.example.org", true)
}

fn rules(role: Role) -> Vec<(Severity, Rule)> {
    lint(&[role], &facts()).iter().map(|finding| (finding.severity(), finding.rule())).collect()
}

#[test]
fn each_kind_of_dangerous_trust_is_found() {
    use Severity::{Error, Warning};
    let ours = || Trust::web_identity(ISSUER).audience(AUDIENCE).subject("a");
    let github = || Trust::web_identity(GITHUB).audience(AUDIENCE);
    let everybody = || Trust::principals().everybody();
    let loose = Knobs::new().whole_shared_issuer().bare_wildcard().everybody();
    let table: Vec<(&str, Role, Vec<(Severity, Rule)>)> = vec![
        ("sound", role("r").trust(ours()), vec![]),
        (
            "no audience",
            role("r").trust(Trust::web_identity(ISSUER).subject("a")),
            vec![(Error, Rule::NoAudience)],
        ),
        (
            "no audience, whatever the knobs",
            role("r").trust(Trust::web_identity(ISSUER).subject("a").danger(loose)),
            vec![(Error, Rule::NoAudience)],
        ),
        ("empty audience", role("r").trust(ours().audience("")), vec![(Error, Rule::NoAudience)]),
        ("shared, nothing else", role("r").trust(github()), vec![(Error, Rule::SharedIssuerWithoutSubject)]),
        (
            "shared, a claim that many have",
            role("r").trust(github().claim("ref", ["refs/heads/main"])),
            vec![(Error, Rule::SharedIssuerWithoutSubject)],
        ),
        (
            "shared, a glob over numbers",
            role("r").trust(github().claim("repository_id", [Pattern::glob("12*")])),
            vec![(Error, Rule::SharedIssuerWithoutSubject)],
        ),
        ("shared, a number", role("r").trust(github().claim("repository_id", ["12"])), vec![]),
        (
            "shared, an immutable claim of one's own",
            role("r").trust(github().immutable_claim("x_id", "12")),
            vec![],
        ),
        (
            "shared, a subject",
            role("r").trust(github().subject("repo:octo-org/site:ref:refs/heads/main")),
            vec![],
        ),
        (
            "shared, a tenant's glob",
            role("r").trust(github().subject(Pattern::glob("repo:octo-org/*"))),
            vec![],
        ),
        (
            "a subject to the letter that tenants with a grammar of their own share",
            role("r").trust(github().subject("environment:production")),
            vec![(Error, Rule::SubjectOfManyTenants)],
        ),
        (
            "a subject to the letter that names its tenant by number",
            role("r").trust(github().subject("repository_owner_id:1234")),
            vec![],
        ),
        (
            "shared, a glob over tenants",
            role("r").trust(github().subject(Pattern::glob("repo:octo-org*"))),
            vec![(Error, Rule::SubjectOfManyTenants)],
        ),
        (
            "shared, a glob over all tenants",
            role("r").trust(github().subject(Pattern::glob("repo:*/site:*"))),
            vec![(Error, Rule::SubjectOfManyTenants)],
        ),
        (
            "shared by configuration",
            role("r").trust(Trust::web_identity("https://shared.example.org").audience(AUDIENCE)),
            vec![(Error, Rule::SharedIssuerWithoutSubject)],
        ),
        (
            "shared by configuration, a glob over all tenants",
            role("r").trust(
                Trust::web_identity("https://shared.example.org")
                    .audience(AUDIENCE)
                    .subject(Pattern::glob("*:main")),
            ),
            vec![(Error, Rule::SubjectOfManyTenants)],
        ),
        (
            "a bare subject, loosened, names no tenant",
            role("r").trust(
                Trust::web_identity("https://shared.example.org")
                    .audience(AUDIENCE)
                    .subject(Pattern::glob("*"))
                    .danger(Knobs::new().bare_wildcard()),
            ),
            vec![
                (Warning, Rule::BareWildcard),
                (Error, Rule::SharedIssuerWithoutSubject),
                (Error, Rule::SubjectOfManyTenants),
            ],
        ),
        (
            "loosened",
            role("r").trust(github().danger(loose)),
            vec![(Warning, Rule::SharedIssuerWithoutSubject)],
        ),
        (
            "bare subject",
            role("r").trust(ours().subject(Pattern::glob("*"))),
            vec![(Error, Rule::BareWildcard)],
        ),
        (
            "bare claim",
            role("r").trust(ours().claim("group", [Pattern::glob("?*")])),
            vec![(Error, Rule::BareWildcard)],
        ),
        (
            "condition without a value",
            role("r").trust(ours().claim("group", <[&str; 0]>::default())),
            vec![(Error, Rule::BareWildcard)],
        ),
        (
            "a glob beyond comparison",
            role("r").trust(ours().subject(Pattern::glob(format!("{}*", "a".repeat(512))))),
            vec![(Error, Rule::PatternTooLong)],
        ),
        ("everybody", role("r").trust(everybody()), vec![(Error, Rule::Everybody)]),
        ("everybody with an external id", role("r").trust(everybody().external_id("tenant-1")), vec![]),
        ("everybody, loosened", role("r").trust(everybody().danger(loose)), vec![(Warning, Rule::Everybody)]),
        (
            "bare principal",
            role("r").trust(Trust::principals().principal(Pattern::glob("*")).external_id("tenant-1")),
            vec![(Error, Rule::BareWildcard)],
        ),
        ("nobody", role("r").trust(Trust::principals()), vec![(Warning, Rule::NoPrincipal)]),
        (
            "impossible external id",
            role("r").trust(Trust::principals().principal(ALICE).external_id("tenant 1")),
            vec![(Error, Rule::ImpossibleExternalId)],
        ),
        ("no trust", role("r"), vec![(Warning, Rule::NoTrust)]),
        (
            "unknown issuer",
            role("r").trust(Trust::web_identity("https://id.example.net").audience(AUDIENCE).subject("a")),
            vec![(Warning, Rule::UnknownIssuer)],
        ),
        (
            "any subject",
            role("r").trust(Trust::web_identity(ISSUER).audience(AUDIENCE)),
            vec![(Warning, Rule::AnySubject)],
        ),
        (
            "one audience for two issuers",
            role("r").trust(ours()).trust(github().subject("repo:octo-org/site:x")),
            vec![(Warning, Rule::SharedAudience)],
        ),
        (
            "long sessions",
            role("r").trust(ours()).max_session(Duration::from_secs(43_200)).unwrap(),
            vec![(Warning, Rule::LongSession)],
        ),
    ];
    for (case, role, expected) in table {
        assert_eq!(rules(role), expected, "{case}");
    }
}

#[test]
fn a_table_refuses_errors_and_keeps_warnings() {
    let bad = role("bad").trust(Trust::web_identity(GITHUB).audience(AUDIENCE));
    let refused = RoleTable::new([bad], &facts()).unwrap_err();
    assert_eq!(refused.findings().len(), 1);
    assert_eq!(
        refused.to_string(),
        "the trust of these roles is not safe: arn:aws:iam::123456789012:role/bad: its issuer serves many tenants, \
         and neither a subject nor an immutable claim tells them apart"
    );
    let table = RoleTable::new([role("lonely")], &facts()).unwrap();
    assert_eq!((table.warnings().len(), table.warnings()[0].rule()), (1, Rule::NoTrust));
    let twins = [role("team/a"), role("other/a")];
    let refused = RoleTable::new(twins, &facts()).unwrap_err();
    assert!(refused.findings().iter().any(|finding| finding.rule() == Rule::DuplicateName));
}

#[test]
fn roles_are_named_as_aws_names_them_and_last_as_long() {
    let account: Account = account();
    for bad in ["", "/r", "r/", "a//b", "with blank", "a:b", "*", &"n".repeat(65)] {
        assert!(Role::new(&account, bad).is_err(), "{bad:?}");
    }
    for bad in [0, 899, 43_201] {
        assert!(role("r").max_session(Duration::from_secs(bad)).is_err(), "{bad}");
    }
    assert!(role("r").max_session(Duration::from_millis(900_500)).is_err());
    assert_eq!(Role::new(&account, "team/r").unwrap().name(), "r");
}

/// Roles that nobody linted.
struct Unlinted(Vec<Role>);

impl Roles for Unlinted {
    fn find(&self, arn: &str) -> impl Future<Output = Result<Option<Arc<Role>>, RolesUnavailable>> + Send {
        let role = self.0.iter().find(|role| role.arn() == arn);
        ready(match arn.ends_with("/away") {
            true => Err(RolesUnavailable),
            false => Ok(role.cloned().map(Arc::new)),
        })
    }
}

#[test]
fn dangerous_trust_that_nobody_linted_admits_nobody() {
    run(async {
        let github = || Trust::web_identity(GITHUB).audience(AUDIENCE);
        let ours = || Trust::web_identity(ISSUER).audience(AUDIENCE);
        let knobs = Knobs::new;
        let table: Vec<(&str, Role, u16)> = vec![
            ("whole-issuer", role("whole-issuer").trust(github()), 403),
            ("loosened", role("loosened").trust(github().danger(knobs().whole_shared_issuer())), 200),
            ("tenants", role("tenants").trust(github().subject(Pattern::glob("repo:octo*"))), 403),
            ("audience", role("audience").trust(Trust::web_identity(GITHUB).subject("repo:octo-org/x")), 403),
            ("bare", role("bare").trust(github().subject(Pattern::glob("*"))), 403),
            ("ours", role("ours").trust(ours()), 200),
            ("ours-bare", role("ours-bare").trust(ours().subject(Pattern::glob("*"))), 403),
            (
                "ours-loose",
                role("ours-loose").trust(ours().subject(Pattern::glob("*")).danger(knobs().bare_wildcard())),
                200,
            ),
        ];
        let roles = Unlinted(table.iter().map(|(_, role, _)| role.clone()).collect());
        let world = World::with([], |sts| sts.roles(roles));
        let tenant = signed_token(GITHUB, AssertionClaims::new("repo:octo-org/x", AUDIENCE)).await;
        let own = token(claims()).await;
        for (name, _, status) in table {
            let token = if name.starts_with("ours") { &own } else { &tenant };
            assert_eq!(world.web_identity(name, token, &[]).await.status().as_u16(), status, "{name}");
        }
        let principals = Unlinted(vec![
            role("open").trust(Trust::principals().everybody()),
            role("star").trust(Trust::principals().principal(Pattern::glob("*"))),
        ]);
        let world = World::with([], |sts| sts.roles(principals));
        for name in ["open", "star"] {
            assert_eq!(world.assume(&alice(), name, &[]).await.verdict(), (403, "AccessDenied"), "{name}");
        }
        assert_eq!(world.assume(&alice(), "away", &[]).await.verdict(), (503, "ServiceUnavailable"));
    });
}
