//! What is measured.

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
    /// In the order of their turns: a guarded one right after its plain one.
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
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(format!("there is no receiver {name:?}"))
    }

    /// Several of them by their names with commas between, each once and in the order of their turns.
    pub(crate) fn list_from(names: &str) -> Result<Vec<Self>, String> {
        let named = names.split(',').map(Self::from_name).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::ALL.into_iter().filter(|kind| named.contains(kind)).collect())
    }
}

/// How large a body is.
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

    /// Several of them by their names, without the space, and with commas between.
    pub(crate) fn list_from(names: &str) -> Result<Vec<Self>, String> {
        let named = |name: &str| Self::ALL.into_iter().find(|size| size.name().replace(' ', "") == name);
        names.split(',').map(|name| named(name).ok_or(format!("there is no body of {name:?}"))).collect()
    }

    /// The requests of one turn, about a second of the faster receivers.
    pub(crate) const fn requests(self) -> usize {
        match self {
            Self::OneKiB => 40_000,
            Self::SixtyFourKiB => 6_000,
        }
    }

    /// Those of a turn of a slow receiver, the first of the same ones.
    pub(crate) const fn slow_requests(self) -> usize {
        match self {
            Self::OneKiB => 4_000,
            Self::SixtyFourKiB => 2_000,
        }
    }
}
