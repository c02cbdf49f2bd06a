//! Draws `docs/performance.svg` from the results of the last `cargo bench` of this package, and prints a table of the same numbers
//! from the same figures: `cargo run --manifest-path benches/peers/Cargo.toml --bin plot`.

mod drawing;
mod measured;

use std::fs;
use std::path::Path;

use hookwarden_peers::{Kind, PEERS, Peer, SIZES};
use measured::Measured;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let measured = Measured::read()?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.svg");
    fs::write(&file, drawing::draw(&measured))?;
    print!("{}", table(&measured));
    Ok(())
}

/// Returns a table of each peer's time divided by our time with the peer's scheme.
fn table(measured: &Measured) -> String {
    let line = |cells: [String; SIZES.len()], name: &str| format!("| {name} | {} |\n", cells.join(" | "));
    let mut table = line(SIZES.map(measured::bytes), "body");
    table += &line(SIZES.map(|_| "---".to_owned()), "---");
    let row = |peer: &Peer| {
        let cells = SIZES.map(|size| {
            let ratio = measured.median(peer, size) / measured.median(peer.ours(), size);
            // Print two digits, because the third differs between runs.
            if ratio < 9.95 { format!("{ratio:.1}") } else { format!("{ratio:.0}") }
        });
        line(cells, peer.name)
    };
    for kind in [Kind::Verifier, Kind::Mac] {
        table.extend(PEERS.iter().filter(|peer| peer.kind == kind).map(row));
    }
    table
}
