//! The host: its topology, facts, limits and noise.
