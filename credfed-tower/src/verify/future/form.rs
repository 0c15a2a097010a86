//! The way of a form: its fields are read, its key is looked up, its policy is judged.

use std::error::Error;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use credfed_sigv4_verify::{FormFields, Reason};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::decide::{decide_form, judge_unresolved};
use super::{Evidence, Stage, Verified, VerifyProjection};
use crate::authorize::Authorize;
use crate::resolve::{KeyRequest, ResolveError, ResolveKey, Resolved};
use crate::verify::body::VerifiedBody;
use crate::verify::changes::Changes;
use crate::verify::form::{FormReader, is_form};

/// A form on its way to be verified.
pub(super) struct Form<B> {
    pub(super) parts: Parts,
    fields: FormFields,
    pub(super) reader: FormReader<B>,
}

impl<S, R, A, B, ResBody> VerifyProjection<'_, S, R, A, B>
where
    S: Service<Request<VerifiedBody<B>>, Response = Response<ResBody>>,
    R: ResolveKey,
    A: Authorize<R::Claims>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Whether the request carries a form that is accepted here. Its body goes to the reader then.
    pub(super) fn begin_form(&mut self) -> Result<bool, Reason> {
        let Some(bucket_of) = &self.shared.forms else { return Ok(false) };
        let (parts, _) = self.request.as_ref().ok_or(Reason::Internal)?;
        let Some(bucket) = is_form(parts).then(|| bucket_of(parts)).flatten() else { return Ok(false) };
        let verifier = &self.shared.verifier;
        let fields = verifier.begin_form(parts, &bucket)?;
        let (parts, body) = self.request.take().ok_or(Reason::Internal)?;
        let reader = FormReader::new(&parts, body, verifier.limits())?;
        *self.form = Some(Box::new(Form { parts, fields, reader }));
        Ok(true)
    }

    /// Reads the fields of a form, and asks for its key.
    pub(super) fn poll_fields(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        let Form { fields, reader, .. } = &mut **self.form.as_mut().ok_or(Reason::Internal)?;
        ready!(reader.poll_fields(cx, fields)).map_err(|error| error.reason)?;
        let signed = self.shared.verifier.parse_form(fields)?;
        let key = KeyRequest::new(signed.access_key(), signed.session_token(), signed.scope(), *self.now);
        self.stage.set(Stage::ResolveForm(self.shared.resolver.resolve(key)));
        Poll::Ready(Ok(()))
    }

    pub(super) fn verify_form(
        &mut self,
        resolved: Result<Resolved<R::Claims>, ResolveError>,
    ) -> Result<(), Reason> {
        let Form { parts, fields, .. } = &**self.form.as_ref().ok_or(Reason::Internal)?;
        let verifier = &self.shared.verifier;
        let signed = verifier.parse_form(fields)?;
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(error) => {
                let dummy = verifier.verify_form(&signed, None, *self.now).map(drop);
                return Err(judge_unresolved(error, dummy));
            }
        };
        let verified = verifier.verify_form(&signed, Some(&resolved.key), *self.now)?;
        let (caller, decision) = decide_form(self.shared, parts, &signed, &verified, resolved)?;
        let evidence = Evidence::Form(verified);
        let verified = Some(Verified {
            evidence,
            caller,
            payload: None,
            decoded: None,
            changes: Changes::default(),
            buffered: None,
        });
        self.stage.set(Stage::Authorize { decision, verified });
        Ok(())
    }
}
