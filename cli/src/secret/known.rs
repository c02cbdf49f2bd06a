//! Known secrets: published examples, defaults of frameworks, and common guesses.

/// Whether `text` is a published example or from a library's tests.
pub(super) fn is_published(text: &str) -> bool {
    PUBLISHED.iter().any(|known| *known == text || known.strip_prefix("whsec_") == Some(text))
}

/// Whether `text` is a placeholder or a common guess.
pub(super) fn is_placeholder(text: &str) -> bool {
    let lower = text.to_lowercase();
    let letters: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    let word = lower.trim_matches(|c: char| !c.is_ascii_alphabetic());
    lower.starts_with(DJANGO_INSECURE)
        || PLACEHOLDERS.iter().any(|part| letters.contains(part))
        || WORDS.contains(&word)
        || WORDS.contains(&&*letters)
        || (lower.starts_with('<') && lower.ends_with('>'))
        || (lower.starts_with("${") && lower.ends_with('}'))
}

/// The prefix of the key that Django's `startproject` writes.
const DJANGO_INSECURE: &str = "django-insecure-";

const PUBLISHED: &[&str] = &[
    // The Standard Webhooks specification, Svix' documentation and the reference libraries.
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    // Stripe's documentation and libraries.
    "whsec_test_secret",
    "whsec_12345",
    // Slack's and GitHub's pages about signatures.
    "8f742231b10e8888abcd99yyyzzz85a5",
    "It's a Secret to Everybody",
    // Adyen's test notification, PayPal's and LINE's samples.
    "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
    "D7DD5BA6146493707BF0BE7496F6404EC7A63616B7158EC927B9F54BB436765F",
    "lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK",
    // Twilio's and jwt.io's.
    "12345",
    "a-string-secret-at-least-256-bits-long",
    // AWS' documentation, Box' and Notion's samples.
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "SamplePrimaryKey",
    "secret_abc123_verification_token",
    // Flask's and Fernet's documentation, Laravel's and Symfony's old defaults.
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "SomeRandomString",
    "ThisTokenIsNotSoSecretChangeIt",
    // Hookwarden's documentation.
    "a-subscription-secret",
];

/// Words that are too long to occur in a random secret by chance.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "changethis",
    "changeit",
    "replaceme",
    "replacethis",
    "replacewith",
    "yoursecret",
    "yourwebhook",
    "yoursigning",
    "your256bit",
    "yourkeyhere",
    "secrethere",
    "insertsecret",
    "placeholder",
    "notsosecret",
    "supersecret",
    "topsecret",
    "mysecret",
    "testsecret",
    "secretkey",
    "webhooksecret",
    "examplekey",
    "hunter2",
    "letmein",
    "password",
    "passw0rd",
    "xxxxxxxx",
];

const WORDS: &[&str] = &[
    "admin",
    "secret",
    "secrets",
    "key",
    "token",
    "test",
    "testing",
    "dev",
    "development",
    "default",
    "demo",
    "dummy",
    "example",
    "foo",
    "bar",
    "foobar",
    "foobarbaz",
    "root",
    "todo",
    "tbd",
    "none",
    "null",
    "undefined",
    "pass",
    "welcome",
    "monkey",
    "dragon",
    "iloveyou",
    "hello",
    "helloworld",
    "webhook",
    "whsec",
    "private",
    "abc",
    "abc123",
    "changeit",
];
