//! Misuse that must not compile, and what the compiler says. After an intended change run it with `TRYBUILD=overwrite`.

#![cfg(all(feature = "actix", feature = "axum", feature = "testing"))]

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
