//! A form read piece by piece: multer finds the parts, and sees no more of the body than it needs.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use credfed_sigv4_verify::{FormFields, Limit, Limits, PostFault, Reason};
use futures::Stream;
use http::header;
use http::request::Parts;
use http_body::Body;
use multer::{Field, Multipart};

use super::SourceError;

/// What multer is given at a time outside of the file. It holds what it cannot take apart yet, and looks through all of
/// that for each piece, so that pieces are not smaller than what is there.
const SLICE: usize = 4 * 1024;
/// What boundaries and part headers may take beside the names and values of all fields.
const OVERHEAD: usize = 64 * 1024;
/// What may follow a file: the last boundary, or as much of another part as shows that it is one.
const AFTER_FILE: usize = 16 * 1024;
/// What may follow the last boundary. It is nobody's, and no size of the policy bounds it.
const EPILOGUE: usize = 64 * 1024;
/// What stands for the file's name in the value of a field.
const FILENAME: &[u8] = b"${filename}";
/// RFC 2046, 5.1.1.
const LONGEST_BOUNDARY: usize = 70;

pub(in crate::verify) struct FormReader<B> {
    body: B,
    feed: Arc<Mutex<Feed>>,
    multipart: Multipart<'static>,
    stage: Stage,
    /// What multer was not given yet.
    rest: Bytes,
    /// Whether the body has ended.
    ended: bool,
    /// Whether a field has the file's name in it.
    names_file: bool,
    /// Whether multer has looked through all that it holds.
    waits: bool,
    /// Bytes that multer was given in this stage, or that were read behind the last boundary.
    given: usize,
    most: usize,
}

enum Stage {
    /// Between two fields.
    Between,
    Field {
        field: Field<'static>,
        room: usize,
        value: Vec<u8>,
    },
    File(Field<'static>),
    AfterFile,
    /// What comes behind the last boundary is nobody's, and the message has to end all the same.
    Epilogue,
    End,
}

/// The body as multer sees it.
#[derive(Default)]
struct Feed {
    next: Option<Bytes>,
    ended: bool,
}

struct Fed(Arc<Mutex<Feed>>);

impl Stream for Fed {
    type Item = Result<Bytes, Infallible>;

    /// Wakes nobody: whoever asked gives the next piece and asks again.
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut feed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (feed.next.take(), feed.ended) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(bytes))),
            (None, true) => Poll::Ready(None),
            (None, false) => Poll::Pending,
        }
    }
}

impl<B> FormReader<B> {
    pub(in crate::verify) fn new(parts: &Parts, body: B, limits: &Limits) -> Result<Self, Reason> {
        let fault = || Reason::PostForm(PostFault::Multipart);
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = content_type.and_then(|value| multer::parse_boundary(value).ok()).ok_or_else(fault)?;
        if !(1..=LONGEST_BOUNDARY).contains(&boundary.len()) {
            return Err(fault());
        }
        let feed = Arc::new(Mutex::new(Feed::default()));
        let multipart = Multipart::new(Fed(Arc::clone(&feed)), boundary);
        let most = limits.form_bytes.saturating_add(OVERHEAD);
        Ok(Self {
            body,
            feed,
            multipart,
            stage: Stage::Between,
            rest: Bytes::new(),
            ended: false,
            names_file: false,
            waits: false,
            given: 0,
            most,
        })
    }
}

impl<B> FormReader<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Reads the fields up to the file. The limits of `fields` hold while a value is read.
    pub(in crate::verify) fn poll_fields(
        &mut self,
        cx: &mut Context<'_>,
        fields: &mut FormFields,
    ) -> Poll<Result<(), SourceError>> {
        loop {
            if self.waits {
                ready!(self.poll_give(cx, SLICE))?;
            }
            let next = match &mut self.stage {
                Stage::Between => match self.multipart.poll_next_field(cx) {
                    Poll::Ready(Ok(Some(field))) => Some(begin(field, fields, self.names_file)?),
                    Poll::Ready(Ok(None)) => return Poll::Ready(Err(PostFault::FileMissing.into())),
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(self.broken())),
                    Poll::Pending => None,
                },
                Stage::Field { field, room, value } => match Pin::new(&mut *field).poll_next(cx) {
                    Poll::Ready(Some(Ok(bytes))) => {
                        let length = value.len().saturating_add(bytes.len());
                        if length > *room {
                            let name = field.name().unwrap_or_default();
                            return Poll::Ready(Err(
                                Reason::LimitExceeded(fields.limit_of(name, length)).into()
                            ));
                        }
                        value.extend_from_slice(&bytes);
                        continue;
                    }
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(self.broken())),
                    Poll::Ready(None) => {
                        self.names_file |= value.windows(FILENAME.len()).any(|window| window == FILENAME);
                        fields.push(field.name().unwrap_or_default().as_bytes(), value)?;
                        Some(Stage::Between)
                    }
                    Poll::Pending => None,
                },
                Stage::File(_) | Stage::AfterFile | Stage::Epilogue | Stage::End => {
                    return Poll::Ready(Ok(()));
                }
            };
            match next {
                Some(stage) => self.stage = stage,
                None => {
                    if self.given > self.most {
                        return Poll::Ready(Err(Reason::LimitExceeded(Limit::FormBytes).into()));
                    }
                    self.waits = true;
                }
            }
        }
    }

    /// Reads on in the file; `None` when the form has ended behind it as a form does.
    pub(super) fn poll_file(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        loop {
            if self.waits {
                let slice = if matches!(self.stage, Stage::File(_)) { usize::MAX } else { SLICE };
                if let Err(error) = ready!(self.poll_give(cx, slice)) {
                    return Poll::Ready(Some(Err(error)));
                }
            }
            let next = match &mut self.stage {
                Stage::File(field) => match Pin::new(field).poll_next(cx) {
                    Poll::Ready(Some(Ok(bytes))) if bytes.is_empty() => continue,
                    Poll::Ready(Some(Ok(bytes))) => return Poll::Ready(Some(Ok(bytes))),
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(self.broken()))),
                    Poll::Ready(None) => {
                        self.given = 0;
                        Some(Stage::AfterFile)
                    }
                    Poll::Pending => None,
                },
                Stage::AfterFile => match self.multipart.poll_next_field(cx) {
                    Poll::Ready(Ok(None)) => {
                        self.given = 0;
                        Some(Stage::Epilogue)
                    }
                    Poll::Ready(Ok(Some(_))) => return Poll::Ready(Some(Err(PostFault::AfterFile.into()))),
                    Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(self.broken()))),
                    Poll::Pending if self.given > AFTER_FILE => {
                        return Poll::Ready(Some(Err(PostFault::AfterFile.into())));
                    }
                    Poll::Pending => None,
                },
                Stage::Epilogue => {
                    while !self.ended {
                        match ready!(self.poll_body(cx)) {
                            Ok(data) => {
                                let length = data.map_or(0, |data| data.len());
                                self.given = self.given.saturating_add(length);
                            }
                            Err(error) => return Poll::Ready(Some(Err(error))),
                        }
                        if self.given > EPILOGUE {
                            return Poll::Ready(Some(Err(PostFault::AfterFile.into())));
                        }
                    }
                    Some(Stage::End)
                }
                Stage::End => return Poll::Ready(None),
                Stage::Between | Stage::Field { .. } => {
                    return Poll::Ready(Some(Err(Reason::Internal.into())));
                }
            };
            match next {
                Some(stage) => self.stage = stage,
                None => self.waits = true,
            }
        }
    }

    /// Gives multer the next `most` bytes of the body at most, or its end. Outside of the file, where it may keep them
    /// for long, small frames are put together.
    fn poll_give(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<(), SourceError>> {
        let mut gathered = BytesMut::new();
        while !self.ended && self.rest.len() + gathered.len() < most.min(SLICE) {
            match self.poll_body(cx) {
                Poll::Ready(Ok(Some(data))) if self.rest.is_empty() && gathered.is_empty() => {
                    self.rest = data;
                }
                Poll::Ready(Ok(Some(data))) => {
                    if gathered.is_empty() {
                        gathered.reserve(SLICE);
                        gathered.extend_from_slice(&std::mem::take(&mut self.rest));
                    }
                    gathered.extend_from_slice(&data);
                }
                Poll::Ready(Ok(None)) => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if most > SLICE && !self.rest.is_empty() => break,
                // Of bytes that trickle in, each one would have multer look through all that it holds.
                Poll::Pending => {
                    if !gathered.is_empty() {
                        self.rest = gathered.freeze();
                    }
                    return Poll::Pending;
                }
            }
            // In the file multer passes everything on.
            if most > SLICE {
                break;
            }
        }
        if !gathered.is_empty() {
            self.rest = gathered.freeze();
        }
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rest.is_empty() {
            // It knew already, and asks for more.
            if feed.ended {
                return Poll::Ready(Err(Reason::IncompleteBody.into()));
            }
            feed.ended = true;
        } else {
            let piece = self.rest.split_to(most.min(self.rest.len()));
            self.given = self.given.saturating_add(piece.len());
            feed.next = Some(piece);
        }
        self.waits = false;
        Poll::Ready(Ok(()))
    }

    /// The next bytes of the body, never none; `None` at its end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, SourceError>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                // Trailers of the HTTP message are covered by nothing.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Ok(Some(data))),
                    Ok(_) | Err(_) => {}
                },
                Some(Err(error)) => return Poll::Ready(Err(SourceError::transport(error.into()))),
                None => {
                    self.ended = true;
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    /// multer gave up: at the end of the body that is too early an end.
    fn broken(&self) -> SourceError {
        match self.feed.lock().unwrap_or_else(PoisonError::into_inner).ended {
            true => Reason::IncompleteBody.into(),
            false => PostFault::Multipart.into(),
        }
    }
}

fn begin(field: Field<'static>, fields: &mut FormFields, names_file: bool) -> Result<Stage, Reason> {
    let name = field.name().ok_or(Reason::PostForm(PostFault::FieldName))?;
    if name.eq_ignore_ascii_case("file") {
        // Lost where it is needed, it would make another key.
        if names_file && field.file_name().is_none() && has_file_name(&field) {
            return Err(Reason::PostForm(PostFault::FieldValue("file".into())));
        }
        fields.file(field.file_name().map(str::as_bytes), None)?;
        return Ok(Stage::File(field));
    }
    let room = fields.room_for(name.as_bytes())?;
    Ok(Stage::Field { field, room, value: Vec::new() })
}

/// Whether a file has a name, though it may be one that multer does not read: not UTF-8, without an end, or of RFC 8187.
fn has_file_name(field: &Field<'static>) -> bool {
    const FILE_NAME: &[u8] = b"filename";
    let disposition = field.headers().get(header::CONTENT_DISPOSITION).map(header::HeaderValue::as_bytes);
    disposition.is_some_and(|text| {
        text.windows(FILE_NAME.len()).any(|window| window.eq_ignore_ascii_case(FILE_NAME))
    })
}
