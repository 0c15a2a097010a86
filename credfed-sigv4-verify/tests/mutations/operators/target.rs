//! Method, path, and the part of the query that is no credential.

use credfed_sigv4_verify::Profile;
use percent_encoding::percent_decode_str;

use super::super::dice::Dice;
use super::super::samples::{Arrival, Sample};
use super::{Named, altered, in_escape, recased, with_parts, with_target};

pub(super) const CHANGES: &[Named] = &[
    ("method", method),
    ("path: another byte", path_byte),
    ("path: a byte more", path_longer),
    ("path: a byte less", path_shorter),
    ("path: case", path_case),
    ("path: segment dropped", segment_dropped),
    ("path: segment doubled", segment_doubled),
    ("path: segments exchanged", segments_exchanged),
    ("path: slash or escape escaped", path_escaped),
    ("path: plus for a blank", path_plus),
    ("path: respelt where the wire is signed", path_respelt),
    ("path: broken escape or NUL", path_broken),
    ("path: dots and doubled slashes", path_dots),
    ("query: parameter added", query_added),
    ("query: parameter removed", query_removed),
    ("query: parameter doubled", query_doubled),
    ("query: another byte", query_byte),
    ("query: case", query_case),
    ("query: values exchanged", query_exchanged),
    ("query: boundaries moved", query_boundary),
    ("query: broken escape or NUL", query_broken),
    ("query: credential parameter added", credential_added),
    ("query: dropped whole", query_dropped),
];

pub(super) const RESPELLINGS: &[Named] = &[
    ("path: respelt where what it means is signed", path_respelt_alike),
    ("query: order", query_order),
    ("query: respelt", query_respelt),
    ("query: equals sign", query_equals),
    ("query: empty pieces", query_empty),
];

fn split(sample: &Sample) -> Option<(&str, Vec<&str>)> {
    let parts = sample.parts()?;
    let query = parts.uri.query().unwrap_or_default();
    Some((parts.uri.path(), query.split('&').filter(|piece| !piece.is_empty()).collect()))
}

fn join(path: &str, pieces: &[impl AsRef<str>]) -> String {
    let pieces: Vec<_> = pieces.iter().map(AsRef::as_ref).collect();
    if pieces.is_empty() { path.to_owned() } else { format!("{path}?{}", pieces.join("&")) }
}

/// What the signature covers of a path: its segments decoded with S3, the bytes of the wire with others.
fn path_meaning(profile: Profile, path: &str) -> Vec<Vec<u8>> {
    match profile {
        Profile::S3 => path.split('/').map(|segment| percent_decode_str(segment).collect()).collect(),
        _ => vec![path.as_bytes().to_vec()],
    }
}

/// What it covers of a query: the decoded pairs, sorted; a plus is a blank.
fn query_meaning(pieces: &[impl AsRef<str>]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).collect();
    let mut pairs: Vec<_> = pieces
        .iter()
        .flat_map(|piece| piece.as_ref().split('&'))
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    pairs.sort();
    pairs
}

/// Another path, if it means another one.
fn other_path(sample: &Sample, path: &str) -> Option<Arrival> {
    let (old, pieces) = split(sample)?;
    if path_meaning(sample.profile, path) == path_meaning(sample.profile, old) {
        return None;
    }
    with_target(sample, &join(path, &pieces))
}

fn other_query(sample: &Sample, pieces: &[impl AsRef<str>]) -> Option<Arrival> {
    let (path, old) = split(sample)?;
    if query_meaning(pieces) == query_meaning(&old) {
        return None;
    }
    with_target(sample, &join(path, pieces))
}

fn same_query(sample: &Sample, pieces: &[impl AsRef<str>]) -> Option<Arrival> {
    let (path, old) = split(sample)?;
    assert_eq!(query_meaning(pieces), query_meaning(&old));
    with_target(sample, &join(path, pieces))
}

/// Where a piece that is no credential stands.
fn plain_piece(pieces: &[&str], dice: &mut Dice) -> Option<usize> {
    let plain: Vec<_> = (0..pieces.len()).filter(|&at| !pieces[at].starts_with("X-Amz-")).collect();
    dice.pick(&plain).copied()
}

fn method(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let other =
        dice.pick(&["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "get", "put", "X"])?;
    let other: http::Method = other.parse().ok()?;
    with_parts(sample, |parts| (std::mem::replace(&mut parts.method, other.clone()) != other).then_some(()))
}

fn path_byte(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    other_path(sample, &altered(path, dice, |_| true)?)
}

fn path_longer(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    let more = dice.pick(&["a", "/", "%20", "%2F", "%25", "%E1%88%B4", "+", "~", ".", "-", "*", ";", ":"])?;
    let mut path = path.to_owned();
    path.insert_str(1 + dice.index(path.len())?, more);
    other_path(sample, &path)
}

fn path_shorter(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    let mut path = path.to_owned();
    path.remove(1 + dice.index(path.len() - 1)?);
    other_path(sample, &path)
}

fn path_case(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    other_path(sample, &recased(path, dice, |_| true)?)
}

fn segment_dropped(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    let mut segments: Vec<_> = path[1..].split('/').collect();
    segments.remove(dice.index(segments.len())?);
    other_path(sample, &format!("/{}", segments.join("/")))
}

fn segment_doubled(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    let mut segments: Vec<_> = path[1..].split('/').collect();
    let at = dice.index(segments.len())?;
    segments.insert(at, segments[at]);
    other_path(sample, &format!("/{}", segments.join("/")))
}

fn segments_exchanged(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    let mut segments: Vec<_> = path[1..].split('/').collect();
    let (one, two) = (dice.index(segments.len())?, dice.index(segments.len())?);
    segments.swap(one, two);
    other_path(sample, &format!("/{}", segments.join("/")))
}

fn path_escaped(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    let places: Vec<_> = path.match_indices(['/', '%']).filter(|(at, _)| *at > 0).collect();
    let (at, what) = *dice.pick(&places)?;
    let mut path = path.to_owned();
    path.replace_range(at..=at, if what == "/" { "%2F" } else { "%25" });
    other_path(sample, &path)
}

fn path_plus(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    let places: Vec<_> = path.match_indices("%20").collect();
    let (at, _) = *dice.pick(&places)?;
    let mut path = path.to_owned();
    path.replace_range(at..at + 3, "+");
    other_path(sample, &path)
}

/// A letter escaped, or an escape in lower case.
fn respelt(text: &str, dice: &mut Dice) -> Option<String> {
    let places: Vec<_> = text
        .bytes()
        .enumerate()
        .filter(|(at, byte)| match in_escape(text, *at) {
            true => byte.is_ascii_uppercase(),
            false => byte.is_ascii_alphanumeric(),
        })
        .map(|(at, _)| at)
        .collect();
    let at = *dice.pick(&places)?;
    let byte = text.as_bytes()[at];
    let mut respelt = text.to_owned();
    let other = match (in_escape(text, at), dice.coin()) {
        (true, _) => char::from(byte.to_ascii_lowercase()).to_string(),
        (false, true) => format!("%{byte:02X}"),
        (false, false) => format!("%{byte:02x}"),
    };
    respelt.replace_range(at..=at, &other);
    Some(respelt)
}

fn path_respelt(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    other_path(sample, &respelt(path, dice)?)
}

fn path_respelt_alike(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, pieces) = split(sample)?;
    let path = match dice.coin() {
        true => respelt(path, dice)?,
        false => path.replacen("%2B", "+", 1),
    };
    let alike = sample.profile == Profile::S3;
    alike.then(|| with_target(sample, &join(&path, &pieces)))?
}

fn path_broken(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, pieces) = split(sample)?;
    let broken = dice.pick(&["%", "%2", "%zz", "%00", "%g0", "%-1"])?;
    with_target(sample, &join(&format!("{path}{broken}"), &pieces))
}

fn path_dots(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, _) = split(sample)?;
    let slashes: Vec<_> = path.match_indices('/').collect();
    let (at, _) = *dice.pick(&slashes)?;
    let more = dice.pick(&["/.", "/x/..", "/..", "/", "//"])?;
    let mut path = path.to_owned();
    path.insert_str(at, more);
    other_path(sample, &path)
}

fn query_added(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, mut pieces) = split(sample)?;
    let more = [
        "a=1",
        "acl",
        "tagging=",
        "uploads",
        "versionId=3",
        "x-id=DeleteObject",
        "x-amz-acl=public-read",
        "X-Amz-Copy-Source=%2Fa%2Fb",
        "x-amz-content-sha256=UNSIGNED-PAYLOAD",
        "X-Amz-Content-Sha256=STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "response-content-type=text%2Fhtml",
        "%20",
        "=",
    ];
    let word = dice.word();
    let more = if dice.coin() { *dice.pick(&more)? } else { &word };
    pieces.insert(dice.index(pieces.len() + 1)?, more);
    other_query(sample, &pieces)
}

fn query_removed(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, mut pieces) = split(sample)?;
    pieces.remove(plain_piece(&pieces, dice)?);
    other_query(sample, &pieces)
}

fn query_doubled(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, mut pieces) = split(sample)?;
    let at = plain_piece(&pieces, dice)?;
    pieces.insert(dice.index(pieces.len() + 1)?, pieces[at]);
    other_query(sample, &pieces)
}

fn query_byte(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, mut pieces) = split(sample)?;
    let at = plain_piece(&pieces, dice)?;
    let other = altered(pieces[at], dice, |_| true)?;
    pieces[at] = &other;
    other_query(sample, &pieces)
}

fn query_case(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, mut pieces) = split(sample)?;
    let at = plain_piece(&pieces, dice)?;
    let other = recased(pieces[at], dice, |_| true)?;
    pieces[at] = &other;
    other_query(sample, &pieces)
}

/// The values of two parameters, of which one may be a credential.
fn query_exchanged(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, pieces) = split(sample)?;
    let (one, two) = (plain_piece(&pieces, dice)?, dice.index(pieces.len())?);
    let pair = |at: usize| pieces[at].split_once('=').unwrap_or((pieces[at], ""));
    let mut pieces: Vec<String> = pieces.iter().map(ToString::to_string).collect();
    let exchanged = [format!("{}={}", pair(one).0, pair(two).1), format!("{}={}", pair(two).0, pair(one).1)];
    [pieces[one], pieces[two]] = exchanged;
    other_query(sample, &pieces)
}

/// A separator escaped, or an escape that becomes one.
fn query_boundary(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, pieces) = split(sample)?;
    let query = pieces.join("&");
    let (from, to) = *dice.pick(&[("=", "%3D"), ("&", "%26"), ("%3D", "="), ("%26", "&"), ("%2B", "+")])?;
    let places: Vec<_> = query.match_indices(from).collect();
    let (at, _) = *dice.pick(&places)?;
    let mut query = query.clone();
    query.replace_range(at..at + from.len(), to);
    other_query(sample, &query.split('&').collect::<Vec<_>>())
}

fn query_broken(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, mut pieces) = split(sample)?;
    pieces.push(dice.pick(&["a=%", "a=%2", "%zz", "a=%00", "%g0=1"])?);
    with_target(sample, &join(path, &pieces))
}

fn credential_added(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (path, pieces) = split(sample)?;
    let name = *dice.pick(&credfed_sigv4_verify::CREDENTIAL_QUERY_PARAMETERS)?;
    let name = match dice.index(4)? {
        0 => name.to_lowercase(),
        1 => name.to_uppercase(),
        2 => name.replacen('-', "%2D", 1),
        _ => name.to_owned(),
    };
    let piece = format!("{name}={}", dice.word());
    let mut pieces = pieces;
    pieces.insert(dice.index(pieces.len() + 1)?, &piece);
    with_target(sample, &join(path, &pieces))
}

fn query_dropped(sample: &Sample, _: &mut Dice) -> Option<Arrival> {
    let (_, pieces) = split(sample)?;
    let kept: Vec<_> = pieces.into_iter().filter(|piece| piece.starts_with("X-Amz-")).collect();
    other_query(sample, &kept)
}

fn query_order(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, mut pieces) = split(sample)?;
    for _ in 0..pieces.len() {
        let (one, two) = (dice.index(pieces.len())?, dice.index(pieces.len())?);
        pieces.swap(one, two);
    }
    same_query(sample, &pieces)
}

fn query_respelt(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, mut pieces) = split(sample)?;
    let at = plain_piece(&pieces, dice)?;
    let other = match dice.coin() {
        true => respelt(pieces[at], dice)?,
        false => pieces[at].replace("%20", "+").replacen("%2F", "/", 1),
    };
    pieces[at] = &other;
    same_query(sample, &pieces)
}

fn query_equals(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, mut pieces) = split(sample)?;
    let at = plain_piece(&pieces, dice)?;
    let other = match pieces[at].split_once('=') {
        None => format!("{}=", pieces[at]),
        Some((name, "")) => name.to_owned(),
        Some(_) => return None,
    };
    pieces[at] = &other;
    same_query(sample, &pieces)
}

fn query_empty(sample: &Sample, dice: &mut Dice) -> Option<Arrival> {
    let (_, mut pieces) = split(sample)?;
    pieces.insert(dice.index(pieces.len() + 1)?, "");
    same_query(sample, &pieces)
}
