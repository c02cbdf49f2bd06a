//! The kinds of receivers and the sizes of bodies.

/// A kind of receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    AxumPlain,
    AxumGuarded,
    AxumStandardWebhooks,
    ActixPlain,
    ActixGuarded,
    Python,
}

impl Kind {
    /// All kinds in the order of their turns: a guarded receiver right after its plain one.
    pub(crate) const ALL: [Self; 6] = [
        Self::AxumPlain,
        Self::AxumGuarded,
        Self::ActixPlain,
        Self::ActixGuarded,
        Self::AxumStandardWebhooks,
        Self::Python,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AxumPlain => "axum-plain",
            Self::AxumGuarded => "axum-guarded",
            Self::AxumStandardWebhooks => "axum-standardwebhooks",
            Self::ActixPlain => "actix-plain",
            Self::ActixGuarded => "actix-guarded",
            Self::Python => "python",
        }
    }

    pub(crate) fn from_name(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(format!("no receiver is named {name:?}"))
    }

    /// Parses names with commas between. Returns each kind once, in the order of their turns.
    pub(crate) fn list_from(names: &str) -> Result<Vec<Self>, String> {
        let named = names.split(',').map(Self::from_name).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::ALL.into_iter().filter(|kind| named.contains(kind)).collect())
    }
}

/// The size of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    OneKiB,
    SixtyFourKiB,
}

impl Size {
    pub(crate) const ALL: [Self; 2] = [Self::OneKiB, Self::SixtyFourKiB];

    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::OneKiB => 1 << 10,
            Self::SixtyFourKiB => 64 << 10,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OneKiB => "1 KiB",
            Self::SixtyFourKiB => "64 KiB",
        }
    }

    /// Parses a comma-separated list of names without spaces, such as `1KiB,64KiB`.
    pub(crate) fn list_from(names: &str) -> Result<Vec<Self>, String> {
        let named = |name: &str| Self::ALL.into_iter().find(|size| size.name().replace(' ', "") == name);
        names.split(',').map(|name| named(name).ok_or(format!("body size {name:?}: must be 1KiB or 64KiB"))).collect()
    }

    /// The number of requests in a turn, about a second for the faster receivers.
    pub(crate) const fn requests(self) -> usize {
        match self {
            Self::OneKiB => 40_000,
            Self::SixtyFourKiB => 6_000,
        }
    }

    /// The number of requests in a turn of a slow receiver. It gets the first requests of the batch.
    pub(crate) const fn slow_requests(self) -> usize {
        match self {
            Self::OneKiB => 4_000,
            Self::SixtyFourKiB => 2_000,
        }
    }
}
