//! Prints a row for each receiver and body, and the ratios with their bounds.

use std::time::Duration;

use crate::kinds::{Kind, Size};

/// One turn of one receiver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) requests: u32,
    pub(crate) elapsed: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) cpu: Duration,
}

impl Run {
    fn rate(&self) -> f64 {
        f64::from(self.requests) / self.elapsed.as_secs_f64()
    }

    /// Returns the CPU seconds for each request.
    fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() / f64::from(self.requests)
    }

    /// Returns the share of the time that the server was on a core.
    fn load(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

#[derive(Debug)]
struct Round {
    size: Size,
    runs: Vec<(Kind, Run)>,
    hmac: Duration,
}

impl Round {
    fn of(&self, kind: Kind) -> Option<&Run> {
        self.runs.iter().find(|(other, _)| *other == kind).map(|(_, run)| run)
    }

    fn both(&self, one: Kind, other: Kind) -> Option<(&Run, &Run)> {
        Some((self.of(one)?, self.of(other)?))
    }
}

/// All rounds that count.
#[derive(Debug, Default)]
pub(crate) struct Results {
    rounds: Vec<Round>,
    skipped: Vec<(Kind, String)>,
}

impl Results {
    pub(crate) fn add(&mut self, size: Size, runs: Vec<(Kind, Run)>, hmac: Duration) {
        self.rounds.push(Round { size, runs, hmac });
    }

    pub(crate) fn skip(&mut self, kind: Kind, reason: String) {
        self.skipped.push((kind, reason));
    }

    /// Prints the medians. Returns whether every measured ratio is within its bound.
    pub(crate) fn print(&self) -> bool {
        println!(
            "\n{:<8}{:<23}{:>11}{:>9}{:>9}{:>13}{:>11}",
            "body", "receiver", "requests/s", "p50 µs", "p99 µs", "CPU µs each", "server on"
        );
        for size in Size::ALL {
            for kind in Kind::ALL {
                self.print_kind(size, kind);
            }
            if let Some(hmac) = self.median(size, |round| Some(micros(round.hmac))) {
                println!("{:<8}{:<23}{:>11}{:>9}{:>9}{hmac:>13.2}", size.name(), "one HMAC-SHA-256", "", "", "");
            }
        }
        for (kind, reason) in &self.skipped {
            println!("{} was not measured: {reason}", kind.name());
        }
        println!("\n{:<66}{:>7}{:>9}{:>9}", "median of the rounds' ratios", "ratio", "bound", "");
        let mut holds = true;
        for (name, plain, guarded) in
            [("axum", Kind::AxumPlain, Kind::AxumGuarded), ("actix", Kind::ActixPlain, Kind::ActixGuarded)]
        {
            let rate = |round: &Round| round.both(guarded, plain).map(|(g, p)| g.rate() / p.rate());
            let cost = |round: &Round| {
                round.both(guarded, plain).map(|(g, p)| (g.cost() - p.cost()) / round.hmac.as_secs_f64())
            };
            let text = format!("{name}, 1 KiB: requests/s, guarded / plain");
            holds &= row(&text, self.median(Size::OneKiB, rate), Bound::AtLeast(0.8));
            let text = format!("{name}, 64 KiB: CPU time that the guard adds / one HMAC");
            holds &= row(&text, self.median(Size::SixtyFourKiB, cost), Bound::AtMost(1.2));
            let text = format!("{name}, 64 KiB: requests/s, guarded / plain");
            holds &= row(&text, self.median(Size::SixtyFourKiB, rate), Bound::None);
        }
        for (other, text, [small, large]) in [
            (
                Kind::Python,
                "axum, 1 KiB: requests per CPU second, guarded / Python",
                [Bound::AtLeast(7.0), Bound::None],
            ),
            (
                Kind::AxumStandardWebhooks,
                "axum, 1 KiB: requests per CPU second, guarded / its peer",
                [Bound::AtLeast(1.3), Bound::AtLeast(4.0)],
            ),
        ] {
            let cost = |round: &Round| round.both(other, Kind::AxumGuarded).map(|(o, g)| o.cost() / g.cost());
            holds &= row(text, self.median(Size::OneKiB, cost), small);
            holds &= row(&text.replace("1 KiB", "64 KiB"), self.median(Size::SixtyFourKiB, cost), large);
        }
        holds
    }

    fn print_kind(&self, size: Size, kind: Kind) {
        let median = |of: fn(&Run) -> f64| self.median(size, |round| round.of(kind).map(of));
        let (Some(rate), Some(p50), Some(p99), Some(cost), Some(load)) = (
            median(Run::rate),
            median(|run| micros(run.p50)),
            median(|run| micros(run.p99)),
            median(|run| run.cost() * 1e6),
            median(|run| run.load() * 100.0),
        ) else {
            return;
        };
        println!("{:<8}{:<23}{rate:>11.0}{p50:>9.0}{p99:>9.0}{cost:>13.2}{load:>9.0} %", size.name(), kind.name());
    }

    fn median(&self, size: Size, of: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let mut numbers: Vec<f64> = self.rounds.iter().filter(|round| round.size == size).filter_map(of).collect();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        let upper = numbers.get(middle).copied()?;
        let lower = if numbers.len().is_multiple_of(2) { numbers.get(middle - 1).copied()? } else { upper };
        Some((lower + upper) / 2.0)
    }
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    None,
    AtLeast(f64),
    AtMost(f64),
}

fn row(name: &str, ratio: Option<f64>, bound: Bound) -> bool {
    let Some(ratio) = ratio else { return true };
    let (bound, holds) = match bound {
        Bound::None => (String::new(), None),
        Bound::AtLeast(bound) => (format!(">= {bound}"), Some(ratio >= bound)),
        Bound::AtMost(bound) => (format!("<= {bound}"), Some(ratio <= bound)),
    };
    let verdict = match holds {
        None => "",
        Some(true) => "ok",
        Some(false) => "MISSED",
    };
    println!("{name:<66}{ratio:>7.3}{bound:>9}{verdict:>9}");
    holds != Some(false)
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
