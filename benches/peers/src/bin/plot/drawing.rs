//! Draws time against size, both logarithmic, in colours for light and dark pages.

use std::fmt::Write as _;

use hookwarden_peers::{Kind, PEERS, Peer, SIZES};

use crate::measured::{Measured, bytes};

pub(crate) fn draw(measured: &Measured) -> String {
    let mut svg = String::new();
    write_to(&mut svg, measured).unwrap_or_default();
    svg
}

fn write_to(svg: &mut String, measured: &Measured) -> std::fmt::Result {
    writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Time for a verification by size of the body: hookwarden lies at the floor, below the other crates">
<style>
text {{ font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: {GREY} }}
.grid {{ stroke: {GREY}; stroke-opacity: .25 }}
.line {{ fill: none; stroke-width: 1.75; stroke-linejoin: round }}
.ours {{ stroke-width: 3 }}
.floor {{ stroke-dasharray: 2 4; stroke-linecap: round }}
.name {{ font-weight: 600; text-anchor: end }}
.x {{ text-anchor: middle }}
</style>"##
    )?;
    axes(svg)?;
    let lines: Vec<_> = PEERS.iter().filter(|peer| colour(peer).is_some()).collect();
    // Draw ours last, above the others.
    for peer in lines.iter().rev() {
        let points = SIZES.map(|size| format!("{:.1},{:.1}", x(size), y(measured.median(peer, size)))).join(" ");
        let class = match peer.kind {
            Kind::Ours => "line ours",
            Kind::Mac => "line floor",
            Kind::Verifier => "line",
        };
        let colour = colour(peer).unwrap_or(GREY);
        writeln!(svg, r#"<polyline class="{class}" stroke="{colour}" points="{points}"/>"#)?;
    }
    labels(svg, measured, &lines)?;
    svg.push_str("</svg>\n");
    Ok(())
}

fn axes(svg: &mut String) -> std::fmt::Result {
    for power in LOWEST..=HIGHEST {
        let time = 10_f64.powi(power);
        let text = match power {
            ..3 => format!("{time} ns"),
            3..6 => format!("{} µs", time / 1e3),
            6.. => format!("{} ms", time / 1e6),
        };
        let (y, end) = (y(time), RIGHT + 12.0);
        writeln!(svg, r#"<path class="grid" d="M{LEFT} {y:.1}H{end}"/>"#)?;
        writeln!(svg, r#"<text x="{:.1}" y="{:.1}">{text}</text>"#, end + 8.0, y + 4.5)?;
    }
    for size in SIZES {
        let (x, text) = (x(size), bytes(size));
        writeln!(svg, r#"<path class="grid" d="M{x:.1} {TOP}V{BOTTOM}"/>"#)?;
        writeln!(svg, r#"<text class="x" x="{x:.1}" y="{:.1}">{text}</text>"#, BOTTOM + 20.0)?;
    }
    // The axis is broken between 0 bytes and the smallest size.
    let gap = (x(SIZES[0]) + x(SIZES[1])) / 2.0;
    writeln!(svg, r#"<path d="M{gap:.1} {:.1}l-5 10m6 0l5 -10" stroke="{GREY}"/>"#, BOTTOM - 5.0)?;
    writeln!(svg, r#"<text class="x" x="{:.1}" y="{:.1}">body</text>"#, (LEFT + RIGHT) / 2.0, BOTTOM + 42.0)?;
    writeln!(svg, r#"<text x="{LEFT}" y="{:.1}">time for one verification</text>"#, TOP - 14.0)
}

/// Writes the names to the left of the lines, far enough apart to be readable.
fn labels(svg: &mut String, measured: &Measured, lines: &[&'static Peer]) -> std::fmt::Result {
    let mut lines: Vec<_> = lines.iter().map(|peer| (*peer, y(measured.median(peer, SIZES[0])))).collect();
    lines.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let mut places: Vec<f64> = lines.iter().map(|(_, y)| *y).collect();
    // If two neighbouring names are too close, move each of them by half of the missing distance.
    for _ in 0..200 {
        for index in 1..places.len() {
            let short = APART - (places[index] - places[index - 1]);
            if short > 0.0 {
                places[index - 1] -= short / 2.0;
                places[index] += short / 2.0;
            }
        }
    }
    for ((peer, begin), place) in lines.into_iter().zip(places) {
        let colour = colour(peer).unwrap_or(GREY);
        let name = peer.name.split(',').next().unwrap_or(peer.name);
        let from = LEFT - 26.0;
        writeln!(svg, r#"<path d="M{from} {place:.1}L{} {begin:.1}" stroke="{colour}" fill="none"/>"#, LEFT - 3.0)?;
        let (x, y) = (from - 5.0, place + 4.5);
        writeln!(svg, r#"<text class="name" x="{x}" y="{y:.1}" style="fill:{colour}">{name}</text>"#)?;
    }
    Ok(())
}

/// Returns the colour of a peer with a line: ours with the default scheme, the floor, and one for each other crate. The
/// bare MACs have no line, because it would lie between the floor and ours.
fn colour(peer: &Peer) -> Option<&'static str> {
    COLOURS.iter().find(|(name, _)| *name == peer.name).map(|(_, colour)| *colour)
}

/// Zero has no logarithm. It is placed four doublings left of the smallest size.
fn x(size: usize) -> f64 {
    let octave = |size: usize| (size as f64).log2();
    let first = octave(SIZES[1]) - 4.0;
    let place = if size == 0 { first } else { octave(size) };
    LEFT + (place - first) / (octave(SIZES[SIZES.len() - 1]) - first) * (RIGHT - LEFT)
}

fn y(nanoseconds: f64) -> f64 {
    let (lowest, highest) = (f64::from(LOWEST), f64::from(HIGHEST));
    BOTTOM - (nanoseconds.log10() - lowest) / (highest - lowest) * (BOTTOM - TOP)
}

const COLOURS: [(&str, &str); 6] = [
    ("hookwarden", "#e8590c"),
    ("floor", GREY),
    ("webhook-verify, Stripe", "#2f9e44"),
    ("hook0-client", "#1c8dc4"),
    ("svix", "#9c5fd6"),
    ("standardwebhooks", "#d6478d"),
];
const GREY: &str = "#808890";

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 180.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 500.0;
/// The minimum distance between the middles of two names.
const APART: f64 = 17.0;

/// The axis of time, in powers of ten of nanoseconds.
const LOWEST: i32 = 2;
const HIGHEST: i32 = 7;
