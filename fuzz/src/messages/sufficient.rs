//! A simple check of what a profile demands of a signature.

use hookwarden::message_signatures::Parameter;

use super::draft::identifier;
use super::keys::name;
use super::profile::Settings;
use super::reader::{Candidate, read_dictionary};
use super::structured::{Bare, Item, item};
use crate::oracle::text::from_base64url_unpadded;
use crate::request::Request;

/// Whether a signature has the parameters and covers the components that it must, without those for a body.
pub fn is_sufficient(settings: &Settings, request: &Request, candidate: Candidate<'_>) -> bool {
    let (label, components, _) = candidate;
    let Some(kinds) = kinds(components) else { return false };
    let covered = settings.covered.iter().map(|text| required(text));
    let mut present = settings.covered_if_present.iter().map(|text| required(text));
    has_right_parameters(settings, candidate)
        && covered.into_iter().all(|required| covers(settings, &kinds, &required))
        && present.all(|required| {
            !is_present(request, &required)
                || covers(settings, &kinds, &required)
                || is_covered_by_member(request, label, &kinds, &required)
        })
}

/// Whether a signature covers what it must if there is a body.
pub fn is_sufficient_with_body(settings: &Settings, components: &[Item]) -> bool {
    kinds(components)
        .is_some_and(|kinds| settings.covered_with_body.iter().all(|text| covers(settings, &kinds, &required(text))))
}

fn has_right_parameters(settings: &Settings, (_, _, parameters): Candidate<'_>) -> bool {
    let value =
        |parameter: Parameter| parameters.iter().find(|(key, _)| key == parameter.as_str()).map(|(_, value)| value);
    // `Err` is a value of another type, which is refused.
    let text = |parameter| match value(parameter) {
        None => Ok(None),
        Some(Bare::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(()),
    };
    let seconds = |parameter| match value(parameter) {
        None => Ok(None),
        Some(Bare::Integer(seconds)) if *seconds > 0 => Ok(Some(*seconds)),
        Some(_) => Err(()),
    };
    let is_missing = settings.required.iter().any(|parameter| value(*parameter).is_none());
    let is_forbidden = settings.forbidden.iter().any(|parameter| value(*parameter).is_some());
    let (Ok(created), Ok(expires)) = (seconds(Parameter::Created), seconds(Parameter::Expires)) else { return false };
    let (Ok(nonce), Ok(keyid), Ok(tag), Ok(alg)) =
        (text(Parameter::Nonce), text(Parameter::Keyid), text(Parameter::Tag), text(Parameter::Alg))
    else {
        return false;
    };
    let is_short = |nonce: &str| {
        settings.min_nonce_bytes > 0
            && from_base64url_unpadded(nonce).is_none_or(|bytes| bytes.len() < settings.min_nonce_bytes)
    };
    let is_validity_right = match (created, expires) {
        (Some(created), Some(expires)) => {
            expires > created && settings.max_validity.is_none_or(|most| expires - created <= i64::from(most))
        }
        _ => true,
    };
    !is_missing
        && !is_forbidden
        && ![nonce, keyid, tag].contains(&Some(""))
        && !nonce.is_some_and(is_short)
        && is_validity_right
        && alg.is_none_or(|alg| settings.algorithms.iter().any(|algorithm| name(*algorithm) == alg))
}

/// What a component is: its name, and how it is covered.
type Kind = (String, String);

/// The components of a signature. `None` if one is not for requests or occurs twice, or there are too many.
fn kinds(components: &[Item]) -> Option<Vec<Kind>> {
    let kinds: Vec<Kind> = components.iter().map(kind).collect::<Option<_>>()?;
    let is_twice = (1..kinds.len()).any(|at| kinds[..at].contains(&kinds[at]));
    (!is_twice && kinds.len() <= 32).then_some(kinds)
}

fn kind((name, parameters): &Item) -> Option<Kind> {
    let Bare::String(name) = name else { return None };
    let value = |wanted: &str| parameters.iter().find(|(key, _)| key == wanted).map(|(_, value)| value);
    let has_only = |known: &[&str]| parameters.iter().all(|(key, _)| known.contains(&key.as_str()));
    let form = match name.as_str() {
        "@query-param" => match value("name") {
            Some(Bare::String(wanted)) if has_only(&["name"]) => format!("name={wanted}"),
            _ => return None,
        },
        "@method" | "@target-uri" | "@authority" | "@scheme" | "@path" | "@query" => {
            if !has_only(&[]) {
                return None;
            }
            String::new()
        }
        name => {
            let is_token =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_flag = |flag: &str| value(flag).is_none_or(|value| *value == Bare::Boolean(true));
            if !(1..=128).contains(&name.len()) || !name.bytes().all(is_token) || !has_only(&["sf", "bs", "key"]) {
                return None;
            }
            match (value("sf"), value("bs"), value("key")) {
                _ if !(is_flag("sf") && is_flag("bs")) => return None,
                (_, None, Some(Bare::String(key))) => format!("key={key}"),
                (None, None, None) => String::new(),
                (Some(_), None, None) => "sf".to_owned(),
                (None, Some(_), None) => "bs".to_owned(),
                _ => return None,
            }
        }
    };
    Some((name.clone(), form))
}

/// A component of a profile.
fn required(text: &str) -> Kind {
    item(&identifier(text)).as_ref().and_then(kind).expect("the profile was built")
}

fn covers(settings: &Settings, kinds: &[Kind], required: &Kind) -> bool {
    let is_whole = |(name, form): &Kind| {
        *name == required.0 && !name.starts_with('@') && required.1.is_empty() && !form.starts_with("key=")
    };
    let requires_target = settings.covered.iter().any(|text| text == "@target-uri" || text == "\"@target-uri\"");
    let is_in_target = |(name, _): &Kind| name == "@target-uri" && required.0 == "@authority" && !requires_target;
    kinds.iter().any(|kind| kind == required || is_whole(kind) || is_in_target(kind))
}

/// Whether it is covered as the only member of a dictionary, or as the one for this label.
fn is_covered_by_member(request: &Request, label: &str, kinds: &[Kind], (required, _): &Kind) -> bool {
    let lines = request.values(required);
    let is_unusable = lines.len() > 32 || lines.iter().map(|line| line.len()).sum::<usize>() > 8_192;
    let is_single = ["authorization", "content-length", "content-type", "date", "host"].contains(&required.as_str());
    if is_unusable || (is_single && lines.len() > 1) {
        return false;
    }
    let Some(dictionary) = read_dictionary(request, required) else { return false };
    kinds.iter().any(|(name, form)| match form.strip_prefix("key=") {
        Some(key) if name == required && !name.starts_with('@') => {
            dictionary.iter().any(|(known, _)| known == key) && (dictionary.len() == 1 || key == label)
        }
        _ => false,
    })
}

fn is_present(request: &Request, (name, _): &Kind) -> bool {
    if !name.starts_with('@') {
        return !request.values(name).is_empty();
    }
    let Some((_, target)) = &request.line else { return true };
    let is_text = target.len() <= 8_192 && target.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    // A target that is malformed counts as one with a query.
    !is_text || target.contains('?') || !(target.is_empty() || target.starts_with('/'))
}
