//! Reports: a pure model of a run's results, and its renderings.
