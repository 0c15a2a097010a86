//! Ours, with every rule on.

use std::hint::black_box;

use credfed_sigv4_verify::{KeyKind, Reason, ResolvedKey, Verifier};

use crate::Subject;
use crate::requests::{Request, SECRET};

pub fn of(request: &Request) -> Subject {
    let verifier = Verifier::builder().region("us-east-1").build().unwrap();
    let kind = if request.is_temporary { KeyKind::Temporary } else { KeyKind::Static };
    let key = ResolvedKey::new(SECRET, kind, 1);
    let request = request.clone();
    let verify = move || -> Result<(), Reason> {
        let read = verifier.parse(black_box(&request.parts))?;
        black_box(read.session_token());
        let mut body = verifier.verify(&read, Some(&key), request.at)?.into_body_check();
        for frame in &request.frames {
            body.push(frame.clone())?;
            while let Some(verified) = body.pop() {
                black_box(verified);
            }
        }
        body.finish()?;
        while let Some(verified) = body.pop() {
            black_box(verified);
        }
        Ok(())
    };
    verify().unwrap();
    Subject::new("credfed", move || verify().unwrap())
}
