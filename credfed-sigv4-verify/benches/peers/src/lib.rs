//! The rows of `performance`, R1 to R4, and who can do them. Every subject has accepted its request before it is
//! returned from here.
#![allow(clippy::unwrap_used, reason = "a bench")]

pub mod floor;
pub mod peers;
pub mod requests;

/// Something that verifies one request when it is run.
pub struct Subject {
    /// The name of a column.
    pub name: &'static str,
    pub run: Box<dyn FnMut()>,
    /// What it costs without verifying, to be taken off; nothing where a verification can be called as such.
    pub fixed: Option<Box<dyn FnMut()>>,
}

impl Subject {
    pub fn new(name: &'static str, run: impl FnMut() + 'static) -> Self {
        Self { name, run: Box::new(run), fixed: None }
    }

    /// Takes off what `fixed` costs.
    #[must_use]
    pub fn without(mut self, fixed: impl FnMut() + 'static) -> Self {
        self.fixed = Some(Box::new(fixed));
        self
    }
}

/// One row: a floor and those that come after it.
pub struct Row {
    pub name: &'static str,
    pub what: &'static str,
    /// How often a sample repeats it.
    pub repeat: usize,
    pub subjects: Vec<Subject>,
}

/// All rows; the first subject of each is the floor.
pub fn rows() -> Vec<Row> {
    let [r1, r2, r3, r4] = [requests::r1(), requests::r2(), requests::r3(), requests::r4()];
    vec![
        Row {
            name: "R1",
            what: "GET, header-signed, 1,000 characters of token",
            repeat: 200,
            subjects: vec![
                floor::of(&r1),
                peers::credfed::of(&r1),
                peers::s3s_sigv4::of(&r1),
                peers::multistore::of(&r1),
                peers::s3s::of(&r1),
                peers::scratchstack::of(&requests::r1_hashed()),
            ],
        },
        Row {
            name: "R2",
            what: "PUT, 64 KiB, hash signed",
            repeat: 10,
            subjects: vec![
                floor::of(&r2),
                peers::credfed::of(&r2),
                peers::s3s::of(&r2),
                peers::scratchstack::of(&r2),
            ],
        },
        Row {
            name: "R3",
            what: "presigned GET, the same token, 37 escapes",
            repeat: 200,
            subjects: vec![floor::of(&r3), peers::credfed::of(&r3), peers::s3s::of(&r3)],
        },
        Row {
            name: "R4",
            what: "PUT, 8 MiB, aws-chunked, 64 KiB signed chunks",
            repeat: 1,
            subjects: vec![floor::of(&r4), peers::credfed::of(&r4), peers::s3s::of(&r4)],
        },
    ]
}
