//! `hookwarden providers`: the providers whose schemes have a name.

use std::process::ExitCode;

use clap::Args;
use hookwarden::Scheme;
use hookwarden::providers::Provider;
use hookwarden::scheme::DeliveryIdSource;

use crate::corpus;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::table::{self, Cell};

/// The arguments of `hookwarden providers`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print the facts about this provider instead of the list
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(crate) const EXAMPLE: &str = "\
Example:
  hookwarden providers
  hookwarden providers shopify
  hookwarden providers shopify --json";

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let providers = match &arguments.name {
        Some(name) => vec![Provider::find(name).map_err(|error| Failure::Input(error.to_string()))?],
        None => Provider::all().collect(),
    };
    if output.is_json() {
        output::document(&corpus::document(&providers)?);
    } else {
        match (&arguments.name, providers.as_slice()) {
            (Some(name), [provider]) => facts(name, provider),
            _ => list(&providers),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(providers: &[Provider]) {
    let mut rows = Vec::new();
    for provider in providers {
        let (headers, covered) = provider.scheme().map_or_else(
            |error| (error.to_string(), String::new()),
            |scheme| (first(scheme.signature_headers()), scheme.coverage().to_string()),
        );
        rows.push([provider.name(), provider.title(), &headers, &covered].map(Cell::plain));
        for adopter in provider.adopters() {
            let as_other = format!("as {}", provider.name());
            rows.push([adopter.name(), adopter.title(), &as_other, &covered].map(Cell::plain));
        }
    }
    rows.sort_by_key(|[name, ..]| name.to_string());
    table::print(["name", "provider", "signature header", "signature covers"], &rows);
    anstream::println!("\n{} names. `hookwarden providers NAME` prints the facts about one", rows.len());
}

/// The first header, and how many follow.
fn first(headers: &[hookwarden::headers::FieldName]) -> String {
    let name = headers.first().map(|header| header.as_str()).unwrap_or_default();
    match headers.len() {
        0 | 1 => name.to_owned(),
        count => format!("{name} and {} more", count.saturating_sub(1)),
    }
}

fn facts(wanted: &str, provider: &Provider) {
    let mut rows = Vec::new();
    // A sender that adopted the scheme has its own name.
    let name = Scheme::provider(wanted).map(|scheme| scheme.name().to_owned()).unwrap_or_default();
    let mut title = provider.title();
    if let Some(adopter) = provider.adopters().iter().find(|adopter| adopter.name() == name) {
        title = adopter.title();
        rows.push(("name", name));
        rows.push(("source", adopter.source().to_owned()));
        rows.extend(adopter.note().map(|note| ("note", note.to_owned())));
        rows.push(("has adopted", provider.title().to_owned()));
    } else {
        rows.push(("name", provider.name().to_owned()));
    }
    rows.extend((!provider.aliases().is_empty()).then(|| ("aliases", provider.aliases().join(", "))));
    rows.push(("source", provider.source().to_owned()));
    rows.extend(provider.sdk().map(|sdk| ("SDK", sdk.to_owned())));
    if let Ok(scheme) = provider.scheme() {
        rows.push(("signature header", first(scheme.signature_headers())));
        rows.push(("signature covers", scheme.coverage().to_string()));
        rows.extend(scheme.delivery_id().map(|id| match id {
            DeliveryIdSource::Header(name) => ("event id", format!("header {}", name.as_str())),
            DeliveryIdSource::Body(pointer) => ("event id", format!("{pointer} of the JSON body")),
            _ => ("event id", String::new()),
        }));
    }
    rows.extend((!provider.unsigned().is_empty()).then(|| ("not signed", provider.unsigned().join(", "))));
    rows.extend(provider.unsigned_id().map(|name| ("event id", format!("header {name}, which is not signed"))));
    rows.extend(provider.duplicates().map(|duplicates| ("equal bodies", duplicates.reason.clone())));
    rows.push(("retries", provider.retries().to_owned()));
    rows.extend(provider.quirks().iter().map(|quirk| ("note", quirk.clone())));
    let rows: Vec<[Cell; 2]> = rows.into_iter().map(|(what, text)| [Cell::plain(what), Cell::plain(text)]).collect();
    table::print(["", title], &rows);
}
