//! The gateway's own credential: a session that it gets for a web identity, once, and for nobody who has no rights.

use std::io;

use super::raw::Raw;
use super::{Bench, Outcome, Report, expect};

pub(super) async fn check(bench: &Bench, report: &mut Report) -> io::Result<()> {
    report.check("refuse: a caller without rights causes no exchange", no_exchange(bench)).await?;
    report.check("an allowed caller causes one exchange, and the next one none", one_exchange(bench)).await
}

async fn no_exchange(bench: &Bench) -> Outcome {
    let answer = Raw::new("GET", "/some-bucket/key").signer(&bench.guest).send(bench).await?;
    expect(answer.status == 403 && answer.code == "AccessDenied", answer)?;
    expect(bench.upstream.status().generation == 0, "a credential was fetched for nobody")
}

async fn one_exchange(bench: &Bench) -> Outcome {
    for _ in 0..2 {
        let answer = Raw::new("GET", "/").send(bench).await?;
        expect(answer.status == 200, answer)?;
        expect(bench.upstream.status().generation == 1, "each request fetches a credential")?;
    }
    Ok(())
}
