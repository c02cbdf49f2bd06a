//! The SDKs of providers as independent implementations: they verify what Hookwarden signs, and the other way round.
//! So do two packages for HTTP Message Signatures.
//!
//! `tests/sdks/install` installs the SDKs. Without them, or without `node` or `python3`, the tests are reported as ignored.
//! With `HOOKWARDEN_REQUIRE_SDKS=1` they fail instead.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that overflows or panics has failed"
)]

mod bodies;
mod exchange;
mod message_signatures;
mod script;
#[expect(dead_code, reason = "the other helpers are for tests with servers")]
#[path = "../harness/trial.rs"]
mod trial;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;

use libtest_mimic::{Arguments, Trial};

use exchange::Exchange;
use script::Registry;

/// Providers that `npm/check.mjs` runs.
const NPM: &str = "
    anthropic clerk coinbase_commerce contentful creem creem_legacy crisp cronofy discord dodo_payments easypost
    fathom fintoc github gocardless hook0_v0 hook0_v1 hookdeck imagekit kontent_ai line linear lithic liveblocks
    lovable metronome modern_treasury mollie mux nango notion nylas onfido openai paddle privy pusher razorpay
    replicate resend retell sanity scalekit seam sendgrid shopify sinch_conversation sinch_numbers slack
    standard_webhooks stream_chat stripe svix trigger_dev turnkey viber webflow workos zoom
";

/// Providers that `pypi/check.py` runs.
const PYPI: &str = "
    adyen airtable anthropic box castle coinbase_commerce composio cronofy discord dodo_payments easypost elevenlabs
    fintoc gocardless hook0_v0 hook0_v1 hubspot_v3 imagekit increase line lithic liveblocks modern_treasury mollie
    onfido openai paddle polar pusher razorpay replicate resend retell sendgrid sinch_conversation sinch_numbers
    slack square standard_webhooks stream_chat stripe svix telnyx viber whop
";

fn main() -> ExitCode {
    let npm: Vec<_> = NPM.split_whitespace().collect();
    let pypi: Vec<_> = PYPI.split_whitespace().collect();
    let registries = [(&script::NPM, &npm), (&script::PYPI, &pypi)];
    // Alternate between the registries, because their scripts run in parallel.
    let positions = (0..npm.len().max(pypi.len())).flat_map(|position| registries.map(|pair| (position, pair)));
    let trials = positions.filter_map(|(position, (registry, names))| Some(provider(registry, names.get(position)?)));
    let trials = trials.chain(registries.map(|(registry, names)| complete(registry, names.clone())));
    let trials = trials.chain(registries.map(|(registry, _)| standard(registry, "", message_signatures::exchange)));
    let random = standard(&script::PYPI, "::random_components", message_signatures::random_components);
    let trials = trials.chain([random]).collect();
    let arguments = trial::arguments();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if is_enough(&arguments, conclusion.num_failed) { conclusion.exit_code() } else { ExitCode::FAILURE }
}

/// Creates the trial of one provider's SDK.
fn provider(registry: &'static Registry, name: &'static str) -> Trial {
    let trial = format!("{}::{name}", registry.name);
    let test = move || {
        let script = registry.script();
        let limits = script.limits(name);
        Exchange::new(script, name, limits).run();
        let mut passed = PASSED.lock().expect("counts");
        *passed.entry(name).or_default() |= limits.sign;
    };
    ready(registry, &trial, test)
}

/// Creates a trial with a registry's package for HTTP Message Signatures.
fn standard(registry: &'static Registry, suffix: &str, test: fn(&'static Registry)) -> Trial {
    let name = format!("{}::{}{suffix}", registry.name, message_signatures::NAME);
    ready(registry, &name, move || test(registry))
}

/// Creates the trial that fails if a script has a provider without a trial.
fn complete(registry: &'static Registry, mut names: Vec<&'static str>) -> Trial {
    let trial = format!("{}::every_provider_has_a_trial", registry.name);
    names.push(message_signatures::NAME);
    names.sort_unstable();
    ready(registry, &trial, move || assert_eq!(registry.script().names(), names))
}

fn ready(registry: &'static Registry, name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    match registry.missing() {
        None => trial::always(name, test),
        Some(missing) => trial::without(name, missing, REQUIRED),
    }
}

/// Prints the counts. Returns false if the SDKs are required and a complete run covers too few providers.
fn is_enough(arguments: &Arguments, failures: u64) -> bool {
    if arguments.list {
        return true;
    }
    let passed = PASSED.lock().expect("counts");
    let signing = passed.values().filter(|signs| **signs).count();
    println!("{} providers: {} verify, {signing} sign; failures {failures}", passed.len(), passed.len());
    let is_complete = arguments.filter.is_none() && arguments.skip.is_empty();
    let is_required = std::env::var_os(REQUIRED).is_some_and(|value| value == "1");
    !(is_complete && is_required) || passed.len() >= MINIMUM
}

/// The providers with an SDK that passed, and whether one of their SDKs signs.
static PASSED: Mutex<BTreeMap<&str, bool>> = Mutex::new(BTreeMap::new());

const REQUIRED: &str = "HOOKWARDEN_REQUIRE_SDKS";

/// The least number of providers in a complete run.
const MINIMUM: usize = 60;
