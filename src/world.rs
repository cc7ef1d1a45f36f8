//! The simulated world that rehearsals and tests fly in.
